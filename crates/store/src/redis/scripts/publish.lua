-- Adds an entry to the feed of revocations.
-- KEYS: feed. ARGV: the time before which no entry concerns a token that still lives, in milliseconds since the Unix
-- epoch, then the names and values of the fields of the entry.
-- Trims first, also because Redis with full memory refuses XADD, unless the script has called another write before.
-- Removals must succeed then, too.
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
