-- The session's latest end, the spent refresh token, when it was spent, and what no refresh changes.
local function rest_of(session)
  local session_end, spent, spent_at, fixed = string.match(session, '^(%d+) (%S+) (%d+) (.*)$', 94)
  return tonumber(session_end), spent, tonumber(spent_at), fixed
end

