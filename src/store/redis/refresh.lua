-- Renews a session's access entry while its refresh entry lives.
-- KEYS: epoch, access, refresh. ARGV: access TTL.
local epoch = redis.call('GET', KEYS[1])
if not epoch or redis.call('GET', KEYS[3]) ~= epoch then return 0 end
redis.call('SET', KEYS[2], epoch, 'EX', ARGV[1])
-- The epoch lives exactly as long as the last token, so that removal can tell whether there was one.
if redis.call('PTTL', KEYS[1]) < ARGV[1] * 1000 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return 1
