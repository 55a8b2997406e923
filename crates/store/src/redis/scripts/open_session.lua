-- Opens a session if the account still has the expected record. Needs entries.lua.
-- KEYS: user, epoch, access, refresh, sessions, then the counts of failures to reset.
-- ARGV: expected record, new record or '' for no change, epoch entry if the user has none, its epoch id, session id,
--       access TTL, refresh TTL, session limit, then the names and values of the fields of the refresh entry.
-- Returns 1, or 0 if the account has changed.
local base, sessions = string.sub(KEYS[2], 1, -2), KEYS[5]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local epoch = decode(redis.call('GET', KEYS[2]))
if failure then return redis.error_reply(failure) end
local ttl = math.max(tonumber(ARGV[6]), tonumber(ARGV[7]))
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

-- Removes ended sessions from the list. The oldest usually end first, so checks of the eight oldest find most of them.
for _, sid in ipairs(redis.call('ZRANGE', sessions, 0, 7)) do
  if session_exists(base, sid) then break end
  redis.call('ZREM', sessions, sid)
end
local excess = redis.call('ZCARD', sessions) - ARGV[8] + 1
-- Drops up to `excess` sessions, the oldest first. Drops live sessions only with `even_live`.
local function drop(even_live)
  for _, sid in ipairs(excess > 0 and redis.call('ZRANGE', sessions, 0, -1) or {}) do
    if excess > 0 and (even_live or not session_exists(base, sid)) then
      delete_session(base, sid)
      excess = excess - redis.call('ZREM', sessions, sid)
    end
  end
end
drop(false)
drop(true)

set_access(KEYS[3], epoch_id, ARGV[6])
redis.call('HSET', KEYS[4], 'v', VERSION, 'epoch', epoch_id, unpack(ARGV, 9))
redis.call('EXPIRE', KEYS[4], ARGV[7])
-- The score is text, because Lua would round a number with this many digits.
local time = redis.call('TIME')
redis.call('ZADD', sessions, time[1] .. string.format('%06d', time[2]), ARGV[5])
redis.call('PEXPIRE', sessions, redis.call('PTTL', KEYS[2]))
redis.call('DEL', unpack(KEYS, 6))
return 1
