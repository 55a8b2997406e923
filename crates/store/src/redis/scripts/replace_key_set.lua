-- Replaces the key set, unless it has changed since it was read, or the writer comes too late.
-- KEYS[1] the key set; ARGV[1] the key set that was read, empty if there was none; ARGV[2] the new key set; ARGV[3] the
-- latest time for the write, in seconds.
-- Returns 1 if the key set was replaced, else 0.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] or tonumber(redis.call('TIME')[1]) > tonumber(ARGV[3]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
