-- Ends all sessions but the asking one, by giving that one a new epoch; with it, changes the account's record. After
-- record.lua and asking.lua.
-- KEYS: epoch, session, user, failures. ARGV: new epoch, session id, record as read or '' for no change, new record,
-- now in milliseconds by the server's clock.
-- Returns 1 done, 0 the account has changed since it was read, -1 the asking session has ended.
local found = redis.call('MGET', KEYS[1], KEYS[2])
if not may_ask(found[1], found[2], ARGV[5]) then return -1 end
if ARGV[3] ~= '' then
  local user = redis.call('GET', KEYS[3])
  if not has_record(user, ARGV[3]) then return 0 end
  redis.call('SET', KEYS[3], ARGV[4] .. string.sub(user, #ARGV[3] + 1))
  redis.call('DEL', KEYS[4])
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'KEEPTTL')
redis.call('SET', KEYS[2], ARGV[1] .. string.sub(found[2], 23), 'KEEPTTL')
return 1
