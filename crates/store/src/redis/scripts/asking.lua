-- Whether the session has a live access token; `now` in milliseconds by the server's clock. After session.lua.
local function may_ask(epochs, session, now)
  return in_epoch(epochs, session) and tonumber(sub(session, 24, 36)) > tonumber(now)
end

