-- Renews the access entry of a session. With rotation, also replaces the refresh token. Needs entries.lua,
-- ending.lua and presented.lua.
-- KEYS: epoch, access, refresh, sessions.
-- ARGV: refresh id, id of the successor or '' for no rotation, access TTL, refresh TTL, grace period, now in seconds,
--       session id, what is published.
-- Returns nil if there is no live session, 'reused' if the token was reused, otherwise the access TTL and the epoch.
-- With rotation, the id, iat and exp of the successor follow. Returns what to publish if the token was reused, and the
-- end of its session is not published.
local now, rotates = tonumber(ARGV[6]), ARGV[2] ~= ''
local epoch_id, entry = find_session(KEYS[1], KEYS[3], now)
if failure then return redis.error_reply(failure) end
if not epoch_id then return false end
local state = state_of(entry, ARGV[1], ARGV[5], now)
if state == 'reused' then
  must_publish_session(ARGV[7])
  if must_wait() then return unpublished end
  end_session(string.sub(KEYS[1], 1, -2), ARGV[7])
  return 'reused'
end

local access_ttl = math.min(tonumber(ARGV[3]), entry.left)
local ttl = access_ttl
redis.call('HSET', KEYS[3], 'last_used', ARGV[6])
if state == 'current' then
  if rotates then
    entry.id, entry.spent_at = ARGV[2], now
    redis.call('HSET', KEYS[3], 'id', entry.id, 'spent', ARGV[1], 'spent_at', now)
    redis.call('HDEL', KEYS[3], 'used')
    local life = math.min(tonumber(ARGV[4]), entry.left)
    redis.call('EXPIRE', KEYS[3], life)
    ttl = math.max(ttl, life)
  else
    mark_used(KEYS[3], entry)
  end
end
extend_access(KEYS[2], epoch_id, access_ttl)
if redis.call('PTTL', KEYS[1]) < ttl * 1000 then
  redis.call('EXPIRE', KEYS[1], ttl)
  lengthen(KEYS[4], ttl)
end
if not rotates then return { access_ttl, epoch_id } end
-- A successor that is returned again keeps its expiry.
local expiry = math.min(entry.spent_at + ARGV[4], now + entry.left)
return { access_ttl, epoch_id, entry.id, tonumber(entry.spent_at), expiry }
