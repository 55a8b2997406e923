-- Replaces the record of an account, and ends all tokens of the user. Needs entries.lua and ending.lua.
-- KEYS: user, epoch, then the other keys to delete, first the pending entry to spend, if there is one.
-- ARGV: expected record, new record, 1 if KEYS has a pending entry to spend, otherwise 0, the expected value of this
--       entry, what is published.
-- Returns 1 if done, 0 if the account or the pending entry has changed or does not exist. Returns what to publish if the
-- user has an epoch that is not published.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '1' and redis.call('GET', KEYS[3]) ~= ARGV[4] then return 0 end
must_publish_epoch(epoch_id_of(redis.call('GET', KEYS[2])))
if must_wait() then return unpublished end
delete_sessions(string.sub(KEYS[2], 1, -2))
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', unpack(KEYS, 2))
return 1
