-- Ends all sessions, on behalf of one of them.
-- KEYS: epoch, the asking session's access entry. Returns 1 done, -1 the asking session has ended.
local epoch = redis.call('GET', KEYS[1])
if not epoch or redis.call('GET', KEYS[2]) ~= epoch then return -1 end
redis.call('DEL', KEYS[1])
return 1
