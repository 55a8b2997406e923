-- Makes an event a dead letter. Needs outbox.lua.
-- KEYS: outbox, dead letters. ARGV: place of the event, limit of the dead letters.
-- Returns 1 if done, 0 if the event is not in the outbox.
return bury(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) and 1 or 0
