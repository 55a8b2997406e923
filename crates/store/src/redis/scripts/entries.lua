-- Entries, their versions, and the sessions of a user.
--
-- Key names of sessions derive from the declared epoch key, so they are in its slot of a cluster. `base` is that key
-- without its last letter.
local VERSION = 1

-- The reason why the script must not go on, if there is one. Every script looks at it before it writes.
local failure

local function check_version(version)
  if (tonumber(version) or 0) > VERSION then failure = 'NEWERVERSION an entry was written by a later version' end
end

-- Reads an epoch or access entry. Returns nil if there is none.
local function decode(value)
  if not value then return nil end
  local ok, entry = pcall(cjson.decode, value)
  if not ok or type(entry) ~= 'table' then
    failure = 'CORRUPT an entry cannot be read'
    return nil
  end
  check_version(entry.v)
  return entry
end

-- Whether an access entry is of the user's epoch.
local function is_live(epoch, access)
  return epoch and access and epoch.epoch == access.epoch
end

local function set_access(key, epoch_id, seconds)
  redis.call('SET', key, '{"v":' .. VERSION .. ',"epoch":"' .. epoch_id .. '"}', 'EX', seconds)
end

-- Makes the access entry live at least so many seconds. An older access token keeps its own expiry, and EXPIRE keeps
-- fields that this version does not know.
local function touch_access(key, epoch_id, seconds)
  local left = redis.call('PTTL', key)
  if left == -2 then
    set_access(key, epoch_id, seconds)
  elseif left < seconds * 1000 then
    redis.call('EXPIRE', key, seconds)
  end
end

-- Makes a key live at least so many seconds. Compares PTTL, as TTL rounds.
local function lengthen(key, seconds)
  if redis.call('PTTL', key) < seconds * 1000 then redis.call('EXPIRE', key, seconds) end
end

local function session_exists(base, sid)
  return redis.call('EXISTS', base .. 'a:' .. sid, base .. 'r:' .. sid) > 0
end

local function delete_sessions(base, sids)
  for _, sid in ipairs(sids) do redis.call('DEL', base .. 'a:' .. sid, base .. 'r:' .. sid) end
end

-- Ends one session, and the epoch with the last one, so that a removal can tell whether there were tokens.
local function end_session(base, sid)
  delete_sessions(base, { sid })
  redis.call('ZREM', base .. 's', sid)
  for _, other in ipairs(redis.call('ZREVRANGE', base .. 's', 0, -1)) do
    if session_exists(base, other) then return end
  end
  redis.call('DEL', base .. 'e', base .. 's')
end

