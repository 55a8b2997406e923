-- What nearly all of refresh.lua comes to without rotation: the token is the session's, and neither it nor the session's
-- key ends before the new access token. Texts of one width compare as the numbers that they are; making them into
-- numbers, asking for the time, and one argument for each number would be a third of what this costs. session.lua says
-- what stands where.
-- ARGV: refresh id of the token, then (or '' for rotation) end of the new access token and now in seconds, that end and
--       what clocks may differ, now in seconds; by the server's clock. Returns 0 for done.
local sub = string.sub
local found = redis.call('MGET', KEYS[1], KEYS[2])
local epochs, session = found[1], found[2]
if not epochs or not session or sub(session, 1, 22) ~= sub(epochs, 1, 22) then return false end
if ARGV[2] ~= '' and ARGV[1] == sub(session, 74, 95) and sub(session, 108, 113) == '0 - 0 '
    and ARGV[4] < sub(session, 49, 58) and ARGV[3] < sub(session, 60, 72) and sub(session, 24, 36) < ARGV[2] then
  redis.call('SETRANGE', KEYS[2], 23, ARGV[2])
  return 0
end

