-- Ends all sessions but the asking one, by giving that one a new epoch; with it, changes the account's record.
-- KEYS: epoch, access, session, index, user, failures. ARGV: new epoch, session id, record as read or '' for no change, new record.
-- Returns 1 done, 0 the account has changed since it was read, -1 the asking session has ended.
local epoch = redis.call('GET', KEYS[1])
if not epoch or redis.call('GET', KEYS[2]) ~= epoch or redis.call('HGET', KEYS[3], 'e') ~= epoch then return -1 end
if ARGV[3] ~= '' then
  if redis.call('GET', KEYS[5]) ~= ARGV[3] then return 0 end
  redis.call('SET', KEYS[5], ARGV[4])
  redis.call('DEL', KEYS[6])
end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
redis.call('SET', KEYS[2], ARGV[1], 'KEEPTTL')
redis.call('HSET', KEYS[3], 'e', ARGV[1])
for _, sid in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  if sid ~= ARGV[2] then redis.call('ZREM', KEYS[4], sid) end
end
return 1
