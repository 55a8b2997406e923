-- Replaces the record of the signing secrets, unless it has changed since it was read.
-- KEYS[1] the record; ARGV[1] the record that was read, empty if there was none; ARGV[2] the new record.
-- Returns 1 if the record was replaced, else 0.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
