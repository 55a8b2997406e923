-- Sets the access entry of a session anew; with rotation, spends the refresh token. After entries.lua and presented.lua.
-- KEYS: epoch, access, refresh, sessions.
-- ARGV: refresh id, id of the successor or '' for no rotation, access TTL, refresh TTL, grace, now in seconds, session id.
-- Returns nothing for no session, 'reused', or the access TTL, with rotation followed by the id, iat and exp of the
-- successor.
local now = tonumber(ARGV[6])
local epoch, entry, left = find_session(KEYS[1], KEYS[3], now)
if failure then return redis.error_reply(failure) end
if not epoch then return false end
local standing = standing(entry, ARGV[1], ARGV[5], now)
if standing == 'reused' then
  end_session(string.sub(KEYS[1], 1, -2), ARGV[7])
  return 'reused'
end

local access_ttl = math.min(tonumber(ARGV[3]), left)
local ttl, answer = access_ttl, { access_ttl }
if ARGV[2] == '' then
  redis.call('HSET', KEYS[3], 'last_used_at', ARGV[6])
  if entry[5] and standing == 'current' then redis.call('HSET', KEYS[3], 'used', 1) end
else
  local id, spent_at = entry[3], tonumber(entry[6])
  if standing == 'current' then
    id, spent_at = ARGV[2], now
    redis.call('HSET', KEYS[3], 'last_used_at', ARGV[6], 'id', id, 'spent', ARGV[1], 'spent_at', ARGV[6])
    redis.call('HDEL', KEYS[3], 'used')
    local refresh_ttl = math.min(tonumber(ARGV[4]), left)
    redis.call('EXPIRE', KEYS[3], refresh_ttl)
    ttl = math.max(ttl, refresh_ttl)
  end
  -- A successor that is given again ends when it would have.
  answer = { access_ttl, id, spent_at, math.min(spent_at + tonumber(ARGV[4]), now + left) }
end

touch_access(KEYS[2], epoch.epoch, access_ttl)
if redis.call('PTTL', KEYS[1]) < ttl * 1000 then
  redis.call('EXPIRE', KEYS[1], ttl)
  lengthen(KEYS[4], ttl)
end
return answer
