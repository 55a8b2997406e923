-- KEYS user, unacknowledged. ARGV record, seconds of the mark. 1 if the record was added, 0 if there is one.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then
    return 0
end
redis.call('SET', KEYS[2], 1, 'EX', ARGV[2])
return 1
