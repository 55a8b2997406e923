-- Ends one session, and the epoch with the last one. Stands before the scripts that end a session.
local function end_session(epoch_key, index_key, access_key, session_key, sid, epoch)
  redis.call('DEL', access_key, session_key)
  redis.call('ZREM', index_key, sid)
  -- Names of other sessions' keys derive from the declared index key, and so are in its slot.
  local prefix = string.sub(index_key, 1, -2)
  for _, other in ipairs(redis.call('ZRANGE', index_key, 0, -1)) do
    if redis.call('HGET', prefix .. 'r:' .. other, 'e') == epoch then return end
  end
  redis.call('DEL', epoch_key, index_key)
end

