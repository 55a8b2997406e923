-- Deletes every key at the former tag of an account that has arrived at its new tag.
-- KEYS: user, the other keys of the user. ARGV: id of the move, id of the user in quotation marks.
-- Returns 1 if done, 0 if it was done before, -1 if the account is here and does not move.
local record = redis.call('GET', KEYS[1])
if not record then return 0 end
if string.find(record, ARGV[1], 1, true) then
  redis.call('DEL', unpack(KEYS))
  return 1
end
return string.find(record, ARGV[2], 1, true) and -1 or 0
