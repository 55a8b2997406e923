-- Counts a call in a window that starts with the first call.
-- KEYS: count. ARGV: limit, length of the window in seconds.
-- Returns 0. If the limit is reached, counts nothing and returns the seconds until the window ends.
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then
  return math.max(math.ceil(redis.call('PTTL', KEYS[1]) / 1000), 1)
end
if redis.call('INCRBY', KEYS[1], 1) == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 0
