-- Lists live sessions, newest first. Needs entries.lua.
-- KEYS: epoch, sessions, and the access entry of the caller's session, if there is one.
-- ARGV: the session after which the list starts or '', maximum number of sessions.
-- Returns nil if the caller's session has no live access entry. Otherwise returns for each session: id, time of the
-- sign-in, time of the last use, address, user agent.
local base = string.sub(KEYS[1], 1, -2)
local epoch = decode(redis.call('GET', KEYS[1]))
local caller = KEYS[3] and decode(redis.call('GET', KEYS[3]))
if failure then return redis.error_reply(failure) end
if KEYS[3] and not is_live(epoch, caller) then return false end
if not epoch then return {} end
local first = 0
if ARGV[1] ~= '' then
  local rank = redis.call('ZREVRANK', KEYS[2], ARGV[1])
  if not rank then return {} end
  first = rank + 1
end
local found, limit, step = {}, tonumber(ARGV[2]), 64
while #found < limit do
  -- The score after each id is the time of creation in microseconds.
  local listed = redis.call('ZREVRANGE', KEYS[2], first, first + step - 1, 'WITHSCORES')
  for n = 1, #listed, 2 do
    if #found == limit then break end
    local sid, created = listed[n], string.sub(string.format('%.0f', listed[n + 1]), 1, -7)
    local entry = redis.call('HMGET', base .. 'r:' .. sid, 'v', 'last_used', 'address', 'agent')
    check_version(entry[1])
    if failure then return redis.error_reply(failure) end
    -- After a late refresh, the access token outlives the refresh entry, which stores the other fields.
    if entry[1] or redis.call('EXISTS', base .. 'a:' .. sid) == 1 then
      found[#found + 1] = { sid, created, entry[2] or created, entry[3] or '', entry[4] or '' }
    end
  end
  if #listed < 2 * step then break end
  first = first + step
end
return found
