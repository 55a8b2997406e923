-- Admits a try at an account's password and counts it as a failure until it succeeds, so that tries at the same moment
-- count too. A known address does not wait and is not counted here. After known.lua.
-- KEYS: failures, user.
-- ARGV: address digest, known days, forget TTL, free failures, longest wait. Returns the seconds to wait, 0 for counted,
-- -1 for known.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local user = redis.call('GET', KEYS[2])
if user then
  local _, day = known_addresses(user, ARGV[1], math.floor(now / 86400) - ARGV[2])
  if day then return -1 end
end
local until_then = tonumber(redis.call('HGET', KEYS[1], 't') or 0)
if now < until_then then return math.ceil(until_then - now) end
local failures = redis.call('HINCRBY', KEYS[1], 'n', 1)
local doublings = failures - tonumber(ARGV[4]) - 1
if doublings >= 0 then
  local wait = math.min(2 ^ math.min(doublings, 30), tonumber(ARGV[5]))
  redis.call('HSET', KEYS[1], 't', string.format('%.6f', now + wait))
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
