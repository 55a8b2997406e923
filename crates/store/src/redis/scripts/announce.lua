-- Adds an event to the outbox. Needs outbox.lua.
-- KEYS: outbox, dead letters.
-- ARGV: limit of the outbox, limit of the dead letters, the time before which dead letters are too old, in milliseconds
--       since the Unix epoch, then the names and values of the fields of the event.
-- Returns 1, or 2 if the outbox was full and its oldest event is now a dead letter.
-- Trims first, also because Redis with full memory refuses XADD, unless the script has called another write before.
-- A removal of tokens must succeed then, too.
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3])
local answer = 1
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
  bury(KEYS[1], KEYS[2], oldest[1][1], ARGV[2])
  answer = 2
end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
return answer
