-- Deletes every key of a user. Needs entries.lua and ending.lua.
-- KEYS: user, epoch, sessions, the other keys of the user, and last the access entry of the caller's session, if there
--       is one.
-- ARGV: expected record, 1 if KEYS has the access entry of the caller's session, otherwise 0, what is published.
-- Returns 1 if done, 0 if the account has changed or does not exist, -1 if the caller's session has no live access
-- entry. Returns what to publish if the user has an epoch that is not published.
if ARGV[2] == '1' then
  local epoch = decode(redis.call('GET', KEYS[2]))
  local caller = decode(redis.call('GET', KEYS[#KEYS]))
  if failure then return redis.error_reply(failure) end
  if not is_live(epoch, caller) then return -1 end
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
must_publish_epoch(epoch_id_of(redis.call('GET', KEYS[2])))
if must_wait() then return unpublished end
delete_sessions(string.sub(KEYS[2], 1, -2))
redis.call('DEL', unpack(KEYS))
return 1
