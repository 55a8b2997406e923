-- Decides a move once and for all: the account arrives, unless its new tag belongs to another account.
-- KEYS: user at the new tag, decision.
-- ARGV: record, id of the user in quotation marks, latest time for a first decision in seconds, TTL of the decision in seconds.
-- Returns 1 if the account has arrived now, 0 if it had arrived before, -1 if the tag is taken, -2 if it is too late.
local decision = redis.call('GET', KEYS[2])
if not decision then
  -- A server that was stopped may have missed the whole move, the deletion of the account, and the end of the decision.
  if tonumber(redis.call('TIME')[1]) > tonumber(ARGV[3]) then return -2 end
  local found = redis.call('GET', KEYS[1])
  if not found then
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('SET', KEYS[2], 'arrived', 'EX', ARGV[4])
    return 1
  end
  decision = string.find(found, ARGV[2], 1, true) and 'arrived' or 'taken'
end
redis.call('SET', KEYS[2], decision, 'EX', ARGV[4])
return decision == 'arrived' and 0 or -1
