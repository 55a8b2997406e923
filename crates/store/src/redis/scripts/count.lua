-- Counts something in a window that starts with the first.
-- KEYS: counter. ARGV: limit, window in seconds, how many to add. Returns the seconds until the window's end if the
-- limit is reached, and then adds nothing; else 0.
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then return math.max(redis.call('TTL', KEYS[1]), 1) end
if tonumber(ARGV[3]) > 0 and redis.call('INCRBY', KEYS[1], ARGV[3]) == tonumber(ARGV[3]) then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 0
