-- Ends all sessions except one, and moves this session to a new epoch. Can also replace the record of the account.
-- Needs entries.lua and ending.lua.
-- KEYS: user, epoch, access, refresh, sessions, then the keys that a change of the account deletes.
-- ARGV: new epoch id, session id, expected record or '' for no change, new record, what is published.
-- Returns 1 if done, 0 if the account has changed since it was read, -1 if the session has no live access entry.
-- Returns what to publish if the former epoch is not published.
local base = string.sub(KEYS[2], 1, -2)
local epoch_value, access_value = redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])
local epoch, access = decode(epoch_value), decode(access_value)
check_version(redis.call('HGET', KEYS[4], 'v'))
if failure then return redis.error_reply(failure) end
if not is_live(epoch, access) then return -1 end

-- Returns the entry with the new epoch. Edits the text, because cjson would round long numbers and turn [] into {}.
local function moved(value)
  local first, last = string.find(value, '"' .. epoch.epoch .. '"', 1, true)
  if not first then failure = 'CORRUPT an entry has its epoch in an unknown encoding' return end
  return string.sub(value, 1, first) .. ARGV[1] .. string.sub(value, last)
end
epoch_value, access_value = moved(epoch_value), moved(access_value)
if failure then return redis.error_reply(failure) end

if ARGV[3] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
must_publish_epoch(epoch.epoch)
if must_wait() then return unpublished end

if ARGV[3] ~= '' then
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
adjust_ttls(base)
return 1
