-- Makes a session live on for an access token in place of one that has ended, and changes nothing else. After session.lua and rest.lua.
-- KEYS: epoch, session. ARGV: refresh id of the token, access TTL, grace, now in milliseconds by the server's clock.
-- Returns the TTL of the access token, which ends with the refresh token at the latest, or 0 for none.
local found = redis.call('MGET', KEYS[1], KEYS[2])
local session = found[2]
if not in_epoch(found[1], session) then return 0 end
local now = tonumber(redis.call('TIME')[1])
if ARGV[1] ~= sub(session, 60, 81) then
  local _, spent, spent_at = rest_of(session)
  if ARGV[1] ~= spent or now - spent_at > tonumber(ARGV[3]) then return 0 end
end
local ttl = math.min(tonumber(ARGV[2]), sub(session, 49, 58) - now)
if ttl < 1 then return 0 end
redis.call('SETRANGE', KEYS[2], 23, math.max(sub(session, 24, 36), ARGV[4] + ttl * 1000))
return ttl
