-- Takes back a call that was counted. KEYS: count.
if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('INCRBY', KEYS[1], -1) end
return 1
