-- Moves an event from one stream to another.
--
-- The fields of an event are id, user and body. A dead letter keeps them.

-- Makes an event a dead letter. Returns whether the event was in the outbox.
local function bury(outbox, dead, place, limit)
  local found = redis.call('XRANGE', outbox, place, place)
  if not found[1] then return false end
  redis.call('XADD', dead, 'MAXLEN', limit, '*', unpack(found[1][2]))
  redis.call('XDEL', outbox, place)
  return true
end

