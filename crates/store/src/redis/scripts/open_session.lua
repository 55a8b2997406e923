-- Opens a session if the account still has the expected record. Needs entries.lua and ending.lua.
-- KEYS: user, epoch, access, refresh, sessions, then the counts of failures to reset.
-- ARGV: expected record, new record or '' for no change, epoch entry if the user has none, its epoch id, session id,
--       access TTL, refresh TTL, session limit, then the names and values of the fields of the refresh entry, and last
--       what is published.
-- Returns the epoch of the session, or nil if the account has changed. Returns what to publish if the limit ends
-- sessions whose end is not published.
local base, sessions = string.sub(KEYS[2], 1, -2), KEYS[5]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local epoch = decode(redis.call('GET', KEYS[2]))
if failure then return redis.error_reply(failure) end
local ttl = math.max(tonumber(ARGV[6]), tonumber(ARGV[7]))

-- The sessions to delete: the ended ones among the eight oldest, which usually end first, and as many as exceed the
-- limit, the ended ones before the oldest live ones.
local dropped = {}
if epoch then
  local listed, live = redis.call('ZRANGE', sessions, 0, 7), {}
  for _, sid in ipairs(listed) do
    if session_exists(base, sid) then break end
    dropped[#dropped + 1] = sid
  end
  local excess = redis.call('ZCARD', sessions) - #dropped - ARGV[8] + 1
  for _, sid in ipairs(excess > 0 and redis.call('ZRANGE', sessions, #dropped, -1) or {}) do
    if excess > 0 and not session_exists(base, sid) then
      dropped[#dropped + 1], excess = sid, excess - 1
    else
      live[#live + 1] = sid
    end
  end
  for n = 1, math.min(excess, #live) do
    must_publish_session(live[n])
    dropped[#dropped + 1] = live[n]
  end
end
if must_wait() then return unpublished end

if not epoch then
  -- Deletes the entries that the removal of an earlier epoch has orphaned.
  delete_sessions(base)
  redis.call('SET', KEYS[2], ARGV[3], 'EX', ttl)
else
  -- The TTL never decreases, because sessions from before a change of settings may live longer.
  lengthen(KEYS[2], ttl)
end
local epoch_id = epoch and epoch.epoch or ARGV[4]
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
for _, sid in ipairs(dropped) do
  delete_session(base, sid)
  redis.call('ZREM', sessions, sid)
end

set_access(KEYS[3], epoch_id, ARGV[6])
redis.call('HSET', KEYS[4], 'v', VERSION, 'epoch', epoch_id, unpack(ARGV, 9, #ARGV - 1))
redis.call('EXPIRE', KEYS[4], ARGV[7])
-- The score is text, because Lua would round a number with this many digits.
local time = redis.call('TIME')
redis.call('ZADD', sessions, time[1] .. string.format('%06d', time[2]), ARGV[5])
redis.call('PEXPIRE', sessions, redis.call('PTTL', KEYS[2]))
redis.call('DEL', unpack(KEYS, 6))
return epoch_id
