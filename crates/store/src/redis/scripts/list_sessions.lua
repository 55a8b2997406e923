-- Lists live sessions, newest first. After rest.lua and asking.lua.
-- KEYS: epoch, then the asking session, if a session asks. ARGV: now in milliseconds by the server's clock.
-- Returns nothing if that session has ended, else for each: session id, created, last used, ip, user agent.
local epochs = redis.call('GET', KEYS[1])
if KEYS[2] and not may_ask(epochs, redis.call('GET', KEYS[2]), ARGV[1]) then return false end
local prefix, found = string.sub(KEYS[1], 1, -2) .. 's:', {}
for at = epochs and #epochs - 21 or 0, 23, -22 do
  local sid = string.sub(epochs, at, at + 21)
  local session = redis.call('GET', prefix .. sid)
  if in_epoch(epochs, session) then
    local _, _, _, fixed = rest_of(session)
    local ip, user_agent = string.match(fixed, '^%S+ %S+ (%S*) (.*)$')
    found[#found + 1] = {sid, sub(session, 83, 92), sub(session, 38, 47), ip, user_agent}
  end
end
return found
