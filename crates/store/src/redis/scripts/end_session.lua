-- Ends one session. After asking.lua and ending.lua.
-- KEYS: epoch, the session to end, then the asking session, if a session asks.
-- ARGV: session id, now in milliseconds by the server's clock. Returns 1 done, 0 not there, -1 the asking session has ended.
local epochs = redis.call('GET', KEYS[1])
if KEYS[3] and not may_ask(epochs, redis.call('GET', KEYS[3]), ARGV[2]) then return -1 end
if not in_epoch(epochs, redis.call('GET', KEYS[2])) then return 0 end
end_session(KEYS[1], KEYS[2], epochs, ARGV[1])
return 1
