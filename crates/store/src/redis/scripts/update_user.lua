-- Replaces the record of an account, and the part of the epoch entry that follows the record. Needs entries.lua.
-- KEYS: user, epoch, and the pending entry to spend, if there is one.
-- ARGV: expected record, new record, the fields of the epoch entry that follow the record, the expected value of the
--       pending entry.
-- Returns 1 if done, 0 if the account or the pending entry has changed or does not exist.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if KEYS[3] and redis.call('GET', KEYS[3]) ~= ARGV[4] then return 0 end
local value = redis.call('GET', KEYS[2])
local epoch = decode(value)
if failure then return redis.error_reply(failure) end
redis.call('SET', KEYS[1], ARGV[2])
if KEYS[3] then redis.call('DEL', KEYS[3]) end
if epoch then
  -- Edits the text, because cjson would round long numbers and turn [] into {}. No text inside the entry can look like
  -- these fields, because JSON escapes quotation marks.
  for _, field in ipairs({ 'email_verified', 'totp_enabled' }) do
    value = string.gsub(value, ',"' .. field .. '":%a+', '')
  end
  redis.call('SET', KEYS[2], string.gsub(value, '}%s*$', '') .. ARGV[3] .. '}', 'KEEPTTL')
end
return 1
