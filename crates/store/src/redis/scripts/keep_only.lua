-- Ends all sessions but one, which moves to a new epoch; may change the account's record. After entries.lua.
-- KEYS: user, epoch, access, refresh, sessions, failures, and the failures of the known address if there is one.
-- ARGV: new epoch id, session id, record as seen or '' for no change, record to write.
-- Returns 1 done, 0 the account has changed since it was read, -1 the session has no live access entry.
local base = string.sub(KEYS[2], 1, -2)
local epoch_value, access_value = redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])
local epoch, access = decode(epoch_value), decode(access_value)
check_version(redis.call('HGET', KEYS[4], 'v'))
if failure then return redis.error_reply(failure) end
if not is_live(epoch, access) then return -1 end

-- An entry that names the new epoch. The text is changed, since cjson would round long numbers and make {} of [].
local function moved(value)
  local first, last = string.find(value, '"' .. epoch.epoch .. '"', 1, true)
  if not first then failure = 'CORRUPT an entry names its epoch in another spelling' return end
  return string.sub(value, 1, first) .. ARGV[1] .. string.sub(value, last)
end
epoch_value, access_value = moved(epoch_value), moved(access_value)
if failure then return redis.error_reply(failure) end

if ARGV[3] ~= '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
  redis.call('SET', KEYS[1], ARGV[4])
  redis.call('DEL', unpack(KEYS, 6))
end
redis.call('SET', KEYS[2], epoch_value, 'KEEPTTL')
redis.call('SET', KEYS[3], access_value, 'KEEPTTL')
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('HSET', KEYS[4], 'epoch', ARGV[1]) end
for _, sid in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
  if sid ~= ARGV[2] then
    delete_session(base, sid)
    redis.call('ZREM', KEYS[5], sid)
  end
end
fit_lives(base)
return 1
