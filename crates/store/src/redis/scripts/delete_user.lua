-- Deletes every key that holds anything of a user. After entries.lua.
-- KEYS: user, epoch, sessions, the user's other keys, and as the last one the access entry of the session that asks, if
-- one asks. ARGV: record as seen, whether a session asks (1 or 0).
-- Returns 1 done, 0 the account has changed or gone, -1 the session that asks has no live access entry.
if ARGV[2] == '1' then
  local epoch = decode(redis.call('GET', KEYS[2]))
  local asking = decode(redis.call('GET', KEYS[#KEYS]))
  if failure then return redis.error_reply(failure) end
  if not is_live(epoch, asking) then return -1 end
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
delete_sessions(string.sub(KEYS[2], 1, -2))
redis.call('DEL', unpack(KEYS))
return 1
