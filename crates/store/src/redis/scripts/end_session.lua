-- Ends one session. Needs entries.lua and ending.lua.
-- KEYS: epoch, access and refresh entry of the session to end, and the access entry of the caller's session, if there
--       is one.
-- ARGV: session id, what is published.
-- Returns 1 if done, 0 if the session does not exist, -1 if the caller's session has no live access entry.
-- Returns what to publish if the end of the session is not published.
local epoch = decode(redis.call('GET', KEYS[1]))
local access = decode(redis.call('GET', KEYS[2]))
local refresh = redis.call('HMGET', KEYS[3], 'v', 'epoch')
check_version(refresh[1])
local caller = KEYS[4] and decode(redis.call('GET', KEYS[4]))
if failure then return redis.error_reply(failure) end
if KEYS[4] and not is_live(epoch, caller) then return -1 end
if not epoch then return 0 end
if not is_live(epoch, access) and refresh[2] ~= epoch.epoch then return 0 end
must_publish_session(ARGV[1])
if must_wait() then return unpublished end
end_session(string.sub(KEYS[1], 1, -2), ARGV[1])
return 1
