-- Finds the session of a presented refresh token.

-- The state of a refresh token in its session: 'current', 'spent' (the token still yields its successor) or 'reused'.
local function state_of(entry, refresh_id, grace, now)
  if refresh_id == entry.id then return 'current' end
  if refresh_id == entry.spent and (not entry.used or now - entry.spent_at <= tonumber(grace)) then return 'spent' end
  return 'reused'
end

-- Returns the id of the user's epoch and the refresh entry of a live session. The field `left` has the seconds until
-- the session reaches its maximum age. Returns nil if there is no live session.
local function find_session(epoch_key, refresh_key, now)
  local epoch = decode(redis.call('GET', epoch_key))
  local values = redis.call('HMGET', refresh_key, 'v', 'epoch', 'id', 'ends_at', 'spent', 'spent_at', 'used')
  check_version(values[1])
  if failure or not epoch or values[2] ~= epoch.epoch then return nil end
  local ends_at = tonumber(values[4])
  local left = ends_at and ends_at - now or math.huge
  if left < 1 then return nil end
  return epoch.epoch, { id = values[3], spent = values[5], spent_at = values[6] or 0, used = values[7], left = left }
end

-- Records the use of the current token. After that, the spent token no longer yields the current one. Without a spent
-- token, there is nothing to record.
local function mark_used(key, entry)
  if entry.spent and not entry.used then redis.call('HSET', key, 'used', 1) end
end

