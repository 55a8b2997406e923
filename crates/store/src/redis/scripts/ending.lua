-- Ends tokens only after verifiers elsewhere can hear of the end.
--
-- The feed of revocations may be in another slot of a cluster, so no script can both publish and delete. A script that
-- ends tokens runs twice. The first run changes nothing, and returns what to publish. The last argument of the second
-- run lists what is published. If a sign-in has replaced the epoch in between, the second run asks again. In the
-- reverse order, a server that dies between the two steps would leave a removal of which no verifier hears.
local published = ARGV[#ARGV]

-- The answer of a run that changes nothing: the word, the epoch or '', and the ids of sessions.
local unpublished = { 'publish', '' }

local function is_published(id)
  return string.find(published, id, 1, true) ~= nil
end

-- Notes that the script is about to end all tokens of an epoch, if there is one.
local function must_publish_epoch(epoch_id)
  if epoch_id and not is_published(epoch_id) then unpublished[2] = epoch_id end
end

-- Notes that the script is about to end the tokens of a session.
local function must_publish_session(sid)
  if not is_published(sid) then unpublished[#unpublished + 1] = sid end
end

-- Whether the script must return `unpublished` before its first write.
local function must_wait()
  return unpublished[2] ~= '' or #unpublished > 2
end

-- The id in an epoch entry of any version. Returns nil for an entry that cannot be read, which opens nothing here, and
-- so must not prevent its removal.
local function epoch_id_of(value)
  local is_json, entry = pcall(cjson.decode, value or '')
  if not is_json or type(entry) ~= 'table' or type(entry.epoch) ~= 'string' then return nil end
  return entry.epoch
end

