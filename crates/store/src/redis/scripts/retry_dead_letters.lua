-- Puts dead letters back into the outbox, oldest first.
-- KEYS: outbox, dead letters. ARGV: the largest number of dead letters of this call. Returns their number.
local letters = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[1])
for _, letter in ipairs(letters) do
  redis.call('XADD', KEYS[1], '*', unpack(letter[2]))
  redis.call('XDEL', KEYS[2], letter[1])
end
return #letters
