-- Known addresses stand one after the other: the day of the last sign-in from there (days since 1970, five digits) and
-- the address' digest (22 characters). Forgets those whose day is before `oldest`, and takes one out if it is named.
-- Returns the others, and the day of the one that is named.
local function known_addresses(value, address, oldest)
  local others, day = {}, nil
  local start = string.find(value, '\n', 1, true)
  for at = (start or #value) + 1, #value, 27 do
    local entry = string.sub(value, at, at + 26)
    local entry_day = tonumber(string.sub(entry, 1, 5))
    if entry_day >= oldest then
      if string.sub(entry, 6) == address then day = entry_day else others[#others + 1] = entry end
    end
  end
  return others, day
end

