-- Pairs of users: associations that end, and everything in a conversation read at once.

ALTER TABLE associations ADD COLUMN removed_at timestamptz;
COMMENT ON COLUMN associations.removed_at IS 'When it ended; NULL while it holds. The row stays, for its version.';
CREATE INDEX associations_patient_idx ON associations (app_id, patient_id);

-- Read, for those who do not say which: the newest of what the user has not read. The counter says how
-- many there are, so nothing older than the oldest of them is looked at.
CREATE FUNCTION read_newest_messages(
    p_conversation uuid,
    p_user         text,
    p_limit        bigint,
    OUT message_ids uuid[],
    OUT marked_at   timestamptz,
    OUT epoch       bigint
)
-- As in append_messages: one plan, kept.
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    v_unread bigint;
    v_ids    uuid[];
    v_from   timestamptz;
    v_until  timestamptz;
BEGIN
    SELECT unread INTO v_unread
    FROM participants p
    WHERE p.conversation_id = p_conversation AND p.user_id = p_user
    FOR NO KEY UPDATE;

    SELECT array_agg(u.message_id), min(u.created_at), max(u.created_at)
    INTO v_ids, v_from, v_until
    FROM (SELECT m.message_id, m.created_at
          FROM messages m
          WHERE m.conversation_id = p_conversation
            AND m.created_at >= (
                SELECT k.created_at FROM message_marks k
                WHERE k.conversation_id = p_conversation
                ORDER BY k.seq
                LIMIT 1)
            AND m.sender_id <> p_user
            AND m.read_at IS NULL
          ORDER BY m.created_at DESC
          LIMIT least(v_unread, p_limit)) u;

    SELECT r.message_ids, r.marked_at, r.epoch
    INTO read_newest_messages.message_ids, read_newest_messages.marked_at, read_newest_messages.epoch
    FROM read_messages(p_conversation, p_user, coalesce(v_ids, '{}'), v_from, v_until) r;
END $$;
