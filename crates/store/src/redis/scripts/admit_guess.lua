-- Admits a guess at a password, and counts the guess as failed in the same step.
-- KEYS: failures.
-- ARGV: now in milliseconds, number of failures without a wait, longest wait in seconds, maximum of failures, TTL of
--       the count in seconds. The TTL is also the wait after the maximum of failures.
-- Returns 0 if the guess is admitted, otherwise the seconds to wait.
local now = tonumber(ARGV[1])
local wait_until = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
if now < wait_until then return math.ceil((wait_until - now) / 1000) end
local failures = redis.call('HINCRBY', KEYS[1], 'n', 1)
local doublings, wait = failures - tonumber(ARGV[2]) - 1, 0
if failures >= tonumber(ARGV[4]) then
  wait = tonumber(ARGV[5])
elseif doublings >= 0 then
  wait = math.min(2 ^ math.min(doublings, 30), tonumber(ARGV[3]))
end
if wait > 0 then redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + wait * 1000)) end
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 0
