-- Ends one session, and the epoch with the last one.
-- KEYS: epoch, index, access and session of the one to end, then the asking session's access entry, if a session asks.
-- ARGV: session id. Returns 1 done, 0 not there, -1 the asking session has ended.
local epoch = redis.call('GET', KEYS[1])
if KEYS[5] and (not epoch or redis.call('GET', KEYS[5]) ~= epoch) then return -1 end
if not epoch or redis.call('HGET', KEYS[4], 'e') ~= epoch then return 0 end
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('ZREM', KEYS[2], ARGV[1])
local prefix = string.sub(KEYS[2], 1, -2)
for _, sid in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('HGET', prefix .. 'r:' .. sid, 'e') == epoch then return 1 end
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
