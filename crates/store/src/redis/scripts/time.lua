-- Returns the time of the server that has the key, in seconds.
-- KEYS: a key.
return tonumber(redis.call('TIME')[1])
