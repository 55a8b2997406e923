-- Renews a session's access entry and writes nothing else, so the entry ends with the session at the latest.
-- KEYS: epoch, access, session. ARGV: refresh id of the token, access TTL, grace. Returns the entry's TTL, 0 for none.
local epoch = redis.call('GET', KEYS[1])
local session = redis.call('HMGET', KEYS[3], 'e', 'j', 'p', 't')
if not epoch or session[1] ~= epoch then return 0 end
if ARGV[1] ~= session[2] then
  local now = tonumber(redis.call('TIME')[1])
  if ARGV[1] ~= session[3] or now - tonumber(session[4]) > tonumber(ARGV[3]) then return 0 end
end
-- Whole seconds rounded down: TTL rounds up, and the token's exp would be past the session's end.
local ttl = math.min(tonumber(ARGV[2]), math.floor(redis.call('PTTL', KEYS[3]) / 1000))
if ttl < 1 then return 0 end
redis.call('SET', KEYS[2], epoch, 'EX', ttl)
return ttl
