-- Opens a session, unless the account has changed since it was read.
-- KEYS: user, epoch, access, refresh. ARGV: record as read, record to store instead or '', new epoch, access TTL, refresh TTL.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
local epoch = redis.call('GET', KEYS[2]) or ARGV[3]
-- Never shortened: sessions of a longer lifetime, before a change of settings, keep theirs.
if redis.call('PTTL', KEYS[2]) < ARGV[5] * 1000 then redis.call('SET', KEYS[2], epoch, 'EX', ARGV[5]) end
redis.call('SET', KEYS[3], epoch, 'EX', ARGV[4])
redis.call('SET', KEYS[4], epoch, 'EX', ARGV[5])
return 1
