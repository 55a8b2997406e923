-- How a refresh token that was presented stands to its session: 'current', 'spent' (it still gives its successor) or
-- 'reused'. `entry` is the refresh entry as HMGET of PRESENTED returns it.
local function standing(entry, refresh_id, grace, now)
  local id, spent, spent_at, used = entry[3], entry[5], entry[6], entry[7]
  if refresh_id == id then return 'current' end
  if refresh_id == spent and (now - spent_at <= tonumber(grace) or not used) then return 'spent' end
  return 'reused'
end

local PRESENTED = { 'v', 'epoch', 'id', 'ends_at', 'spent', 'spent_at', 'used' }

-- The epoch entry and the refresh entry of a live session, and the seconds until its longest life is over. Returns nil
-- for none.
local function find_session(epoch_key, refresh_key, now)
  local epoch = decode(redis.call('GET', epoch_key))
  local entry = redis.call('HMGET', refresh_key, unpack(PRESENTED))
  check_version(entry[1])
  if failure or not epoch or entry[2] ~= epoch.epoch then return nil end
  local left = entry[4] and tonumber(entry[4]) - now or math.huge
  if left < 1 then return nil end
  return epoch, entry, left
end

