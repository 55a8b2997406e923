-- Makes a session live on for a new access token; with rotation, spends the refresh token. A spent token gives its
-- successor again within the grace, and ends the session after it. After session.lua, rest.lua and ending.lua.
-- KEYS: epoch, session.
-- ARGV: refresh id of the token, refresh id of its successor or '' for no rotation, access TTL, refresh TTL, grace, session id,
--       now in milliseconds by the server's clock, end of the last access token as it may have stood before, or 0.
-- Returns nothing for no session, 'reused', the access TTL without rotation, or with it: access TTL, the successor's
-- refresh id, its iat, session end.
local found = redis.call('MGET', KEYS[1], KEYS[2])
local session = found[2]
if not in_epoch(found[1], session) then return false end
local now = tonumber(redis.call('TIME')[1])
local token_end, current = tonumber(sub(session, 49, 58)), sub(session, 60, 81)
local rotates = ARGV[2] ~= ''
local session_end, spent, spent_at, fixed = rest_of(session)
local left = session_end > 0 and session_end - now or math.huge
if now >= token_end or left < 1 then return false end

if ARGV[1] ~= current then
  if ARGV[1] ~= spent or now - spent_at > tonumber(ARGV[5]) then
    end_session(KEYS[1], KEYS[2], found[1], ARGV[6])
    return 'reused'
  end
elseif rotates then
  current, spent, spent_at = ARGV[2], ARGV[1], now
end

local access_ttl = math.min(tonumber(ARGV[3]), left)
-- A successor that is given again ends when it would have.
local refresh_ttl = rotates and math.min(spent_at + ARGV[4] - now, left) or 0
-- Session and epoch live exactly as long as the last token, so that removal can tell whether there was one.
local ttl = math.max(access_ttl, refresh_ttl)
local fields = math.max(sub(session, 24, 36), ARGV[7] + access_ttl * 1000, ARGV[8]) .. ' ' .. now
if rotates then
  fields = fields .. ' ' .. now + refresh_ttl .. ' ' .. current .. ' ' .. sub(session, 83, 92) .. ' ' .. session_end
  fields = fields .. ' ' .. spent .. ' ' .. spent_at .. ' ' .. fixed
end
redis.call('SETRANGE', KEYS[2], 23, fields)
for _, key in ipairs(KEYS) do
  -- PTTL, as TTL rounds: the key would then end up to half a second before the token.
  if redis.call('PTTL', key) < ttl * 1000 then redis.call('EXPIRE', key, ttl) end
end
return rotates and {access_ttl, current, spent_at, session_end} or access_ttl
