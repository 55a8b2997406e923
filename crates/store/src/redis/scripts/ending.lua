-- Ends one session, and the epoch with the last one. Names of other sessions' keys derive from the declared epoch key,
-- and so are in its slot.
local function end_session(epoch_key, session_key, epochs, sid)
  redis.call('DEL', session_key)
  local prefix, kept, lives = string.sub(epoch_key, 1, -2) .. 's:', { string.sub(epochs, 1, 22) }, false
  for at = 23, #epochs, 22 do
    local other = string.sub(epochs, at, at + 21)
    if other ~= sid then
      kept[#kept + 1] = other
      lives = lives or redis.call('EXISTS', prefix .. other) == 1
    end
  end
  if lives then redis.call('SET', epoch_key, table.concat(kept), 'KEEPTTL') else redis.call('DEL', epoch_key) end
end

