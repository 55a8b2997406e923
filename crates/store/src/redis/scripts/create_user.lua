-- Adds an account, and marks its sign-up as not acknowledged. KEYS: user, mark. ARGV: record, TTL of the mark.
-- Returns 1, or 0 if there is an account.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end
redis.call('SET', KEYS[2], 1, 'EX', ARGV[2])
return 1
