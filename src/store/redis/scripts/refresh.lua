-- Renews a session's access entry; with rotation, spends the refresh token. A spent token gives its successor again
-- within the grace, and ends the session after it.
-- KEYS: epoch, access, session, index.
-- ARGV: refresh id of the token, refresh id of its successor or '' for no rotation, access TTL, refresh TTL, grace, session id.
-- Returns nothing for no session, 'reused', or: access TTL, successor's refresh id or '', its iat, session end.
local epoch = redis.call('GET', KEYS[1])
local session = redis.call('HMGET', KEYS[3], 'e', 'j', 'p', 't', 'x', 'n')
if not epoch or session[1] ~= epoch then return false end
local now = tonumber(redis.call('TIME')[1])
if now >= tonumber(session[6]) then return false end
local current, spent, spent_at, session_end = session[2], session[3], tonumber(session[4]), tonumber(session[5])
local left = session_end > 0 and session_end - now or math.huge
if left < 1 then return false end
local rotates = ARGV[2] ~= ''

if ARGV[1] ~= current then
  if ARGV[1] ~= spent or now - spent_at > tonumber(ARGV[5]) then
    end_session(KEYS[1], KEYS[4], KEYS[2], KEYS[3], ARGV[6], epoch)
    return 'reused'
  end
elseif rotates then
  current, spent_at = ARGV[2], now
  redis.call('HSET', KEYS[3], 'j', current, 'p', ARGV[1], 't', now)
end

local access_ttl = math.min(tonumber(ARGV[3]), left)
-- A successor that is given again ends when it would have.
local refresh_ttl = rotates and math.min(spent_at + tonumber(ARGV[4]) - now, left) or 0
redis.call('SET', KEYS[2], epoch, 'EX', access_ttl)
redis.call('HSET', KEYS[3], 'l', now)
if rotates then redis.call('HSET', KEYS[3], 'n', now + refresh_ttl) end
-- Session, epoch and index live exactly as long as the last token, so that removal can tell whether there was one.
-- PTTL, as TTL rounds: they would then end up to half a second before the token.
local session_ttl = math.max(access_ttl, refresh_ttl)
for _, key in ipairs({KEYS[3], KEYS[1], KEYS[4]}) do
  if redis.call('PTTL', key) < session_ttl * 1000 then redis.call('EXPIRE', key, session_ttl) end
end
return {access_ttl, rotates and current or '', spent_at or 0, session_end}
