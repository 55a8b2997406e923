-- Takes back a counted call. KEYS: count.
local count = tonumber(redis.call('GET', KEYS[1]) or 0)
if count > 1 then redis.call('INCRBY', KEYS[1], -1) else redis.call('DEL', KEYS[1]) end
return 1
