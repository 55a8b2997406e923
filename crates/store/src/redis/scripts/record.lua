-- An account's value is its record and, in a second line, the addresses that are known to it (known.lua).
local function has_record(value, record)
  return value and (value == record or string.sub(value, 1, #record + 1) == record .. '\n')
end

