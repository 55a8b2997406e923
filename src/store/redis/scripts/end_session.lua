-- Ends one session.
-- KEYS: epoch, index, access and session of the one to end, then the asking session's access entry, if a session asks.
-- ARGV: session id. Returns 1 done, 0 not there, -1 the asking session has ended.
local epoch = redis.call('GET', KEYS[1])
if KEYS[5] and (not epoch or redis.call('GET', KEYS[5]) ~= epoch) then return -1 end
if not epoch or redis.call('HGET', KEYS[4], 'e') ~= epoch then return 0 end
end_session(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], epoch)
return 1
