-- Opens a session, unless the account has changed since it was read; the oldest sessions give way to the limit.
-- A success also forgets the account's failures and makes the address known. After record.lua and known.lua; session.lua says what a session holds.
-- KEYS: user, epoch, session, failures.
-- ARGV: record as read, record to store instead or '', new epoch, refresh TTL, session id, refresh id, account's creation,
--       email, ip and user agent, session's longest life or 0 for ever, session limit, address digest, known days, known
--       limit, access token's end.
local user = redis.call('GET', KEYS[1])
if not has_record(user, ARGV[1]) then return 0 end
local now = tonumber(redis.call('TIME')[1])
local today = math.floor(now / 86400)
local known, day = known_addresses(user, ARGV[10], today - ARGV[11])
if day ~= today or ARGV[2] ~= '' then
  known[#known + 1] = string.format('%05d%s', today, ARGV[10])
  local record = ARGV[2] ~= '' and ARGV[2] or ARGV[1]
  local first = math.max(#known - ARGV[12] + 1, 1)
  redis.call('SET', KEYS[1], record .. '\n' .. table.concat(known, '', first))
end

local epochs = redis.call('GET', KEYS[2]) or ARGV[3]
local prefix, limit = string.sub(KEYS[2], 1, -2) .. 's:', tonumber(ARGV[9])
local sids, full = {}, (#epochs - 22) / 22 >= limit
for at = 23, #epochs, 22 do
  local sid = string.sub(epochs, at, at + 21)
  -- The oldest end first: beyond the first that lives, looking is worth it only when the room is needed.
  if (#sids > 0 and not full) or redis.call('EXISTS', prefix .. sid) == 1 then sids[#sids + 1] = sid end
end
local first = math.max(#sids - limit + 2, 1)
for n = 1, first - 1 do redis.call('DEL', prefix .. sids[n]) end
sids[#sids + 1] = ARGV[5]
local value = string.sub(epochs, 1, 22) .. table.concat(sids, '', first)
-- Never shortened: sessions of a longer lifetime, before a change of settings, keep theirs.
if redis.call('PTTL', KEYS[2]) < ARGV[4] * 1000 then
  redis.call('SET', KEYS[2], value, 'EX', ARGV[4])
else
  redis.call('SET', KEYS[2], value, 'KEEPTTL')
end
local session_end = tonumber(ARGV[8]) > 0 and now + ARGV[8] or 0
local fields = {
  string.sub(epochs, 1, 22), ARGV[13], now, now + ARGV[4], ARGV[6], now, session_end, '- 0', ARGV[7],
}
redis.call('SET', KEYS[3], table.concat(fields, ' '), 'EX', ARGV[4])
redis.call('DEL', KEYS[4])
return 1
