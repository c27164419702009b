-- Marks messages delivered or read, for the one user who may: each once, the counter in step.
--
-- The participant's row is locked first, so receipts of one user's devices follow one another and
-- the counter takes off exactly what this call marks.

CREATE FUNCTION receive_messages(
    p_conversation uuid,
    p_user         text,
    p_ids          uuid[],
    p_from         timestamptz,  -- the time of the oldest and
    p_until        timestamptz,  -- of the newest of the ids: opens only their partitions
    p_read         boolean,
    OUT message_ids uuid[],
    OUT marked_at   timestamptz,
    OUT epoch       bigint
)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- That a message arrived may be forgotten in a crash; that it was read may not. There is one such
    -- mark for nearly every message: waiting for the disk with each would cost as much as sending.
    IF NOT p_read THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    PERFORM 1 FROM participants p
    WHERE p.conversation_id = p_conversation AND p.user_id = p_user
    FOR NO KEY UPDATE;

    marked_at := date_trunc('milliseconds', clock_timestamp());
    epoch := chat_epoch();

    WITH marked AS (
        UPDATE /* messages.receive */ messages m
        SET delivered_at = coalesce(m.delivered_at, marked_at),
            read_at = CASE WHEN p_read THEN marked_at ELSE m.read_at END
        WHERE m.conversation_id = p_conversation
          AND m.created_at BETWEEN p_from AND p_until
          AND m.message_id = ANY (p_ids)
          AND m.sender_id <> p_user
          AND CASE WHEN p_read THEN m.read_at ELSE m.delivered_at END IS NULL
        RETURNING m.message_id, m.seq
    )
    SELECT coalesce(array_agg(marked.message_id ORDER BY marked.seq), '{}')
    INTO message_ids
    FROM marked;

    IF p_read AND cardinality(message_ids) > 0 THEN
        UPDATE participants p
        SET unread = p.unread - cardinality(message_ids)
        WHERE p.conversation_id = p_conversation AND p.user_id = p_user;
    END IF;
END $$;
