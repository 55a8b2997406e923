-- Renews the access entry of a session for a protected request. Needs entries.lua, ending.lua and presented.lua.
-- KEYS: epoch, access, refresh.
-- ARGV: refresh id, access TTL, grace period, now in seconds, session id, what is published.
-- Returns the TTL of the access token, which does not outlive the refresh token, and the epoch. Returns nil if there is
-- no live session, and 'reused' if the refresh token was reused. Returns what to publish if the token was reused, and
-- the end of its session is not published.
local now = tonumber(ARGV[4])
local epoch_id, entry = find_session(KEYS[1], KEYS[3], now)
if failure then return redis.error_reply(failure) end
if not epoch_id then return false end
local state = state_of(entry, ARGV[1], ARGV[3], now)
if state == 'reused' then
  must_publish_session(ARGV[5])
  if must_wait() then return unpublished end
  end_session(string.sub(KEYS[1], 1, -2), ARGV[5])
  return 'reused'
end
local ttl = math.min(tonumber(ARGV[2]), entry.left, math.floor(redis.call('PTTL', KEYS[3]) / 1000))
if ttl < 1 then return false end
redis.call('HSET', KEYS[3], 'last_used', now)
if state == 'current' then mark_used(KEYS[3], entry) end
extend_access(KEYS[2], epoch_id, ttl)
return { ttl, epoch_id }
