-- Deletes an account with all that belongs to it; its sessions too, as they hold its email. After record.lua and asking.lua.
-- KEYS: user, epoch, failures, then the asking session, if a session asks.
-- ARGV: record as read, or '' for any; now in milliseconds by the server's clock. Returns 1 done, 0 not there or changed since, -1 the asking session has ended.
local epochs = redis.call('GET', KEYS[2])
if KEYS[4] and not may_ask(epochs, redis.call('GET', KEYS[4]), ARGV[2]) then return -1 end
local user = redis.call('GET', KEYS[1])
if not user or (ARGV[1] ~= '' and not has_record(user, ARGV[1])) then return 0 end
local prefix = string.sub(KEYS[2], 1, -2) .. 's:'
for at = 23, epochs and #epochs or 0, 22 do redis.call('DEL', prefix .. sub(epochs, at, at + 21)) end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
