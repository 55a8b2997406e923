-- The beginning of refresh.lua, and without rotation nearly always all of it: the token is the session's, and neither it
-- nor the session's key ends before the new access token. Texts of one width compare as the numbers that they are, and
-- are not made into them and back, which would be a fifth of what this costs. After session.lua.
local found = redis.call('MGET', KEYS[1], KEYS[2])
local session = found[2]
if not in_epoch(found[1], session) then return false end
local time = redis.call('TIME')
if ARGV[2] == '' and ARGV[1] == sub(session, 74, 95) and sub(session, 108, 113) == '0 - 0 '
    and time[1] < sub(session, 49, 58) and ARGV[9] < sub(session, 60, 72) then
  local access_end = sub(session, 24, 36)
  if access_end < ARGV[8] then access_end = ARGV[8] end
  redis.call('SETRANGE', KEYS[2], 23, access_end .. ' ' .. time[1])
  return ARGV[3]
end

