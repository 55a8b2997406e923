-- Reads and writes entries of sessions, and ends sessions.
--
-- The scripts derive the key names of a session from the declared epoch key, so all these keys are in one slot of a
-- cluster. `base` is the name of the epoch key without its last letter.
local VERSION = 1

-- The error that ends the script, or nil. Every script checks it before the first write.
local failure

local function check_version(version)
  if (tonumber(version) or 0) > VERSION then failure = 'NEWERVERSION an entry was written by a later version' end
end

-- Decodes an epoch entry or an access entry. Returns nil if there is none. Sets `failure` if the entry cannot be read.
local function decode(value)
  if not value then return nil end
  local is_json, entry = pcall(cjson.decode, value)
  if not is_json or type(entry) ~= 'table' or type(entry.v) ~= 'number' then
    failure = 'CORRUPT an entry cannot be read'
    return nil
  end
  check_version(entry.v)
  if type(entry.epoch) ~= 'string' then failure = failure or 'CORRUPT an entry has no epoch' end
  return entry
end

-- Whether an access entry has the user's epoch.
local function is_live(epoch, access)
  return epoch and access and epoch.epoch == access.epoch
end

local function set_access(key, epoch_id, seconds)
  redis.call('SET', key, '{"v":' .. VERSION .. ',"epoch":"' .. epoch_id .. '"}', 'EX', seconds)
end

-- Makes a key live for at least this many seconds. Compares the PTTL, because TTL rounds.
local function lengthen(key, seconds)
  if redis.call('PTTL', key) < seconds * 1000 then redis.call('EXPIRE', key, seconds) end
end

-- Makes the access entry live for at least this many seconds. The TTL never decreases, because an older access token
-- keeps its own expiry. EXPIRE keeps the fields that this version does not know.
local function extend_access(key, epoch_id, seconds)
  local left = redis.call('PTTL', key)
  if left == -2 then
    set_access(key, epoch_id, seconds)
  elseif left < seconds * 1000 then
    redis.call('EXPIRE', key, seconds)
  end
end

local function session_exists(base, sid)
  return redis.call('EXISTS', base .. 'a:' .. sid, base .. 'r:' .. sid) > 0
end

local function delete_session(base, sid)
  redis.call('DEL', base .. 'a:' .. sid, base .. 'r:' .. sid)
end

local function delete_sessions(base)
  for _, sid in ipairs(redis.call('ZRANGE', base .. 's', 0, -1)) do delete_session(base, sid) end
  redis.call('DEL', base .. 's')
end

-- Makes the epoch and the list of sessions live as long as the longest of the remaining entries. Deletes both with the
-- last entry, so that a removal can tell whether the user had tokens.
local function adjust_ttls(base)
  local longest = 0
  for _, sid in ipairs(redis.call('ZRANGE', base .. 's', 0, -1)) do
    longest = math.max(longest, redis.call('PTTL', base .. 'a:' .. sid), redis.call('PTTL', base .. 'r:' .. sid))
  end
  if longest > 0 then
    redis.call('PEXPIRE', base .. 'e', longest)
    redis.call('PEXPIRE', base .. 's', longest)
  else
    redis.call('DEL', base .. 'e', base .. 's')
  end
end

local function end_session(base, sid)
  delete_session(base, sid)
  redis.call('ZREM', base .. 's', sid)
  adjust_ttls(base)
end

