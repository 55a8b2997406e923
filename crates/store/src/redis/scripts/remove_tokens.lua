-- Removes all tokens of the user, on behalf of one session if there is one. Needs entries.lua and ending.lua.
-- KEYS: epoch, and the access entry of the caller's session, if there is one.
-- ARGV: what is published.
-- Returns 1 if done, 0 if the user has no tokens, -1 if the caller's session has no live access entry. Returns what to
-- publish if the epoch is not published.
local value = redis.call('GET', KEYS[1])
if KEYS[2] then
  local epoch, caller = decode(value), decode(redis.call('GET', KEYS[2]))
  if failure then return redis.error_reply(failure) end
  if not is_live(epoch, caller) then return -1 end
end
if not value then return 0 end
must_publish_epoch(epoch_id_of(value))
if must_wait() then return unpublished end
redis.call('DEL', KEYS[1])
return 1
