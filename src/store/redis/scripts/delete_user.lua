-- Deletes an account with all that belongs to it; its sessions end with its epoch.
-- KEYS: user, epoch, index, failures, known addresses, then the asking session's access entry, if a session asks.
-- ARGV: record as read, or '' for any. Returns 1 done, 0 not there or changed since, -1 the asking session has ended.
local epoch = redis.call('GET', KEYS[2])
if KEYS[6] and (not epoch or redis.call('GET', KEYS[6]) ~= epoch) then return -1 end
local record = redis.call('GET', KEYS[1])
if not record or (ARGV[1] ~= '' and record ~= ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
return 1
