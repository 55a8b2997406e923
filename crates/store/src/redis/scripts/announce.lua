-- Adds an event to the outbox. Needs outbox.lua.
-- KEYS: outbox, dead letters, and the mark of the event if replicas must confirm the event.
-- ARGV: limit of the outbox, limit of the dead letters, the time before which dead letters are too old, in milliseconds
--       since the Unix epoch, TTL of the mark in seconds, then the names and values of the fields of the event.
-- Returns 1, or 2 if the outbox was full and its oldest event is now a dead letter. Returns 0 if an earlier call has added
-- the event: the server repeats a call that too few replicas have confirmed.
if KEYS[3] and redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
-- Trims first, also because Redis with full memory refuses XADD, unless the script has called another write before.
-- A removal of tokens must succeed then, too.
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3])
local answer = 1
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
  bury(KEYS[1], KEYS[2], oldest[1][1], ARGV[2])
  answer = 2
end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
if KEYS[3] then redis.call('SET', KEYS[3], 1, 'EX', ARGV[4]) end
return answer
