-- Adds an account, and marks its sign-up as not acknowledged.
-- KEYS: user, mark. ARGV: record, TTL of the mark in seconds.
-- Returns 1, or 0 if the account already exists.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end
redis.call('SET', KEYS[2], 1, 'EX', ARGV[2])
return 1
