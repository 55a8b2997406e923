-- Ends all sessions on behalf of one of them, and deletes their entries. Needs entries.lua.
-- KEYS: epoch, sessions, access entry of the caller's session.
-- Returns 1 if done, -1 if the caller's session has no live access entry.
local epoch = decode(redis.call('GET', KEYS[1]))
local caller = decode(redis.call('GET', KEYS[3]))
if failure then return redis.error_reply(failure) end
if not is_live(epoch, caller) then return -1 end
delete_sessions(string.sub(KEYS[1], 1, -2))
redis.call('DEL', KEYS[1])
return 1
