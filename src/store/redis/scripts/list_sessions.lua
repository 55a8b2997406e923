-- Lists live sessions, newest first.
-- KEYS: epoch, index, then the asking session's access entry, if a session asks.
-- Returns nothing if that session has ended, else for each: session id, created, last used, ip, user agent.
local epoch = redis.call('GET', KEYS[1])
if KEYS[3] and (not epoch or redis.call('GET', KEYS[3]) ~= epoch) then return false end
local prefix = string.sub(KEYS[2], 1, -2)
local found = {}
for _, sid in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
  local session = redis.call('HMGET', prefix .. 'r:' .. sid, 'e', 'c', 'l', 'i', 'u')
  if epoch and session[1] == epoch then
    found[#found + 1] = {sid, session[2], session[3], session[4], session[5]}
  end
end
return found
