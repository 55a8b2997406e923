-- Reads the outbox, and takes or keeps the right to deliver.
-- KEYS: outbox, dead letters, lease. ARGV: id of the server, length of the lease in milliseconds, the place from which
--       to read, number of events to read.
-- Returns whether this server delivers (1 or 0), the number of events, the number of dead letters, the place of the
-- oldest event or '', and the events.
local holder = redis.call('GET', KEYS[3])
local is_ours = not holder or holder == ARGV[1]
-- Writes only every few seconds. PEXPIRE comes first, also because Redis with full memory refuses SET, unless the script
-- has called another write before.
local must_write = is_ours and redis.call('PTTL', KEYS[3]) < ARGV[2] / 2
if must_write and redis.call('PEXPIRE', KEYS[3], ARGV[2]) == 0 then redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2]) end
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local events = {}
if is_ours and tonumber(ARGV[4]) > 0 then
  events = redis.call('XRANGE', KEYS[1], ARGV[3], '+', 'COUNT', ARGV[4])
end
return {
  is_ours and 1 or 0, redis.call('XLEN', KEYS[1]), redis.call('XLEN', KEYS[2]), oldest[1] and oldest[1][1] or '', events,
}
