-- Replaces or deletes a record with the mark of a move.
-- KEYS: user, and the decision, which starts its life again, if there is one.
-- ARGV: expected record, new record or '' to delete the record, TTL of the decision in seconds.
-- Returns 1 if done, 0 if the record has changed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
if KEYS[2] then redis.call('SET', KEYS[2], 'arrived', 'EX', ARGV[3]) end
return 1
