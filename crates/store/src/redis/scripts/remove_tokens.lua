-- Ends all sessions, on behalf of one of them. After asking.lua.
-- KEYS: epoch, the asking session. ARGV: now in milliseconds by the server's clock. Returns 1 done, -1 the asking session has ended.
if not may_ask(redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), ARGV[1]) then return -1 end
redis.call('DEL', KEYS[1])
return 1
