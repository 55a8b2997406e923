-- Admits a guess at a password, and counts the guess as failed in the same step.
-- KEYS: failures.
-- ARGV: number of failures without a wait, longest wait in seconds, maximum of failures, TTL of the count in seconds. The
--       TTL is also the wait after the maximum of failures.
-- Returns 0 if the guess is admitted, otherwise the seconds to wait.
-- Asks for the time here, because simultaneous guesses may arrive in another order than they were sent.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait_until = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
if now < wait_until then return math.ceil((wait_until - now) / 1000) end
local failures = redis.call('HINCRBY', KEYS[1], 'n', 1)
local doublings, wait = failures - tonumber(ARGV[1]) - 1, 0
if failures >= tonumber(ARGV[3]) then
  wait = tonumber(ARGV[4])
elseif doublings >= 0 then
  wait = math.min(2 ^ math.min(doublings, 30), tonumber(ARGV[2]))
end
if wait > 0 then redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + wait * 1000)) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 0
