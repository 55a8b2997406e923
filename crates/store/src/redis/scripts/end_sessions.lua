-- Ends all sessions on behalf of one of them, and deletes their entries. Needs entries.lua and
-- ending.lua.
-- KEYS: epoch, sessions, access entry of the caller's session.
-- ARGV: what is published.
-- Returns 1 if done, -1 if the caller's session has no live access entry. Returns what to publish if the epoch is not
-- published.
local epoch = decode(redis.call('GET', KEYS[1]))
local caller = decode(redis.call('GET', KEYS[3]))
if failure then return redis.error_reply(failure) end
if not is_live(epoch, caller) then return -1 end
must_publish_epoch(epoch.epoch)
if must_wait() then return unpublished end
delete_sessions(string.sub(KEYS[1], 1, -2))
redis.call('DEL', KEYS[1])
return 1
