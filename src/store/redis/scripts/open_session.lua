-- Opens a session, unless the account has changed since it was read; the oldest sessions give way to the limit.
-- A success also forgets the account's failures and makes the address known.
-- KEYS: user, epoch, access, session, index, failures, known addresses.
-- ARGV: record as read, record to store instead or '', new epoch, access TTL, refresh TTL, session id, refresh id, ip,
--       user agent, session's longest life or 0 for ever, session limit, address digest, known TTL, known limit.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
local epoch = redis.call('GET', KEYS[2]) or ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1])
local session_end = tonumber(ARGV[10]) > 0 and now + tonumber(ARGV[10]) or 0

-- Names of other sessions' keys derive from the declared index key, and so are in its slot.
local prefix = string.sub(KEYS[5], 1, -2)
local limit = tonumber(ARGV[11])
if redis.call('ZCARD', KEYS[5]) >= limit then
  local live = {}
  for _, sid in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
    if redis.call('HGET', prefix .. 'r:' .. sid, 'e') == epoch then
      live[#live + 1] = sid
    else
      redis.call('ZREM', KEYS[5], sid)
    end
  end
  for n = 1, #live - limit + 1 do
    redis.call('DEL', prefix .. 'a:' .. live[n], prefix .. 'r:' .. live[n])
    redis.call('ZREM', KEYS[5], live[n])
  end
end

redis.call('SET', KEYS[2], epoch, 'KEEPTTL')
redis.call('SET', KEYS[3], epoch, 'EX', ARGV[4])
redis.call('HSET', KEYS[4], 'e', epoch, 'j', ARGV[7], 'c', now, 'l', now, 'i', ARGV[8], 'u', ARGV[9], 'x', session_end)
redis.call('EXPIRE', KEYS[4], ARGV[5])
-- Microseconds order sign-ins of one second; a score holds them exactly.
redis.call('ZADD', KEYS[5], now * 1000000 + time[2], ARGV[6])
-- Never shortened: an older session may have been given a longer life, by other settings.
for _, key in ipairs({KEYS[2], KEYS[5]}) do
  if redis.call('PTTL', key) < ARGV[5] * 1000 then redis.call('EXPIRE', key, ARGV[5]) end
end
redis.call('DEL', KEYS[6])
redis.call('ZADD', KEYS[7], now, ARGV[12])
redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -1 - ARGV[14])
redis.call('EXPIRE', KEYS[7], ARGV[13])
return 1
