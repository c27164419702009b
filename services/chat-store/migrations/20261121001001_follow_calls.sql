-- What follows from the end of a call - who is told, the message, what other services hear - is asked
-- for by a log in the shared state, which may be lost. A row says whether all of it was done.

ALTER TABLE calls
    ADD COLUMN ended_by    text,
    ADD COLUMN followed_at timestamptz;
UPDATE calls SET followed_at = ended_at WHERE outcome IS NOT NULL;
-- Small: what is in progress, and what is to be done once more.
DROP INDEX calls_open_idx;
CREATE INDEX calls_unfinished_idx ON calls (call_id) WHERE followed_at IS NULL;
COMMENT ON COLUMN calls.ended_by IS 'caller or callee of an ended call, the device that declined a rejected one; else NULL.';
COMMENT ON COLUMN calls.followed_at IS 'When everything was done that follows from the end; set once.';
