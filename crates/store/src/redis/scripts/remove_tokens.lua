-- Removes all tokens of the user on behalf of one session. Needs entries.lua.
-- KEYS: epoch, access entry of the caller's session.
-- Returns 1 if done, -1 if the caller's session has no live access entry.
local epoch = decode(redis.call('GET', KEYS[1]))
local caller = decode(redis.call('GET', KEYS[2]))
if failure then return redis.error_reply(failure) end
if not is_live(epoch, caller) then return -1 end
redis.call('DEL', KEYS[1])
return 1
