-- Ends the right of a server to deliver.
-- KEYS: lease. ARGV: id of the server. Returns 1 if the server had the right, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
