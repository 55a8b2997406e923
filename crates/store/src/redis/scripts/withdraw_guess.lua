-- Takes back an admitted guess, and the wait that the guess caused. KEYS: failures.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HINCRBY', KEYS[1], 'n', -1) < 1 then redis.call('DEL', KEYS[1]) end
redis.call('HDEL', KEYS[1], 'until')
return 1
