-- Replaces the record of an account, and ends all tokens of the user. Needs entries.lua.
-- KEYS: user, epoch, then the counts of failures to reset.
-- ARGV: expected record, new record.
-- Returns 1 if done, 0 if the account has changed or does not exist.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
delete_sessions(string.sub(KEYS[2], 1, -2))
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', unpack(KEYS, 2))
return 1
