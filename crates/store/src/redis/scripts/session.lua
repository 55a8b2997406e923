-- A user's epoch key holds the epoch (22 characters), then the ids of its sessions, oldest first. A session's key holds,
-- with blanks between: from 1 epoch, from 24 end of the last access token (milliseconds, by the server's clock as in the
-- token), from 38 last used, from 49 end of the refresh token, from 60 id of the refresh token, from 83 created; then the
-- session's latest end or 0, the refresh token that was spent for the present one or -, when that was or 0, the account's
-- creation and email, ip, user agent. Times other than the first are by Redis' clock (last used: by the server's, if a
-- refresh was a plain one), in seconds where it is not said. What a refresh, which is frequent, reads and writes stands
-- at fixed places: a plain one does without a script, and taking the whole apart and putting it together again costs a
-- script three times as much. What a token check says of the account, which nothing changes, is there so that it need not
-- read the record, too: a third of what it would cost a large Redis. A session lives while its key is there and names the
-- user's epoch.
local sub = string.sub

local function in_epoch(epochs, session)
  return epochs and session and sub(session, 1, 22) == sub(epochs, 1, 22)
end

