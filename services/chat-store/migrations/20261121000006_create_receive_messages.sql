-- Marks messages read or delivered, each once. That they were read, other services are told.

-- Read: for the one user who may, the counter in step. The participant's row is locked first, so receipts
-- of one user's devices follow one another and the counter takes off exactly what this call marks.
CREATE FUNCTION read_messages(
    p_conversation uuid,
    p_user         text,
    p_ids          uuid[],
    p_from         timestamptz,  -- the time of the oldest and
    p_until        timestamptz,  -- of the newest of the ids: opens only their partitions
    OUT message_ids uuid[],
    OUT marked_at   timestamptz,
    OUT epoch       bigint
)
-- As in append_messages: one plan, kept.
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM 1 FROM participants p
    WHERE p.conversation_id = p_conversation AND p.user_id = p_user
    FOR NO KEY UPDATE;

    marked_at := date_trunc('milliseconds', clock_timestamp());
    epoch := chat_epoch();

    WITH marked AS (
        UPDATE /* messages.read */ messages m
        SET delivered_at = coalesce(m.delivered_at, marked_at),
            read_at = marked_at
        WHERE m.conversation_id = p_conversation
          AND m.created_at BETWEEN p_from AND p_until
          AND m.message_id = ANY (p_ids)
          AND m.sender_id <> p_user
          AND m.read_at IS NULL
        RETURNING m.message_id, m.seq
    )
    SELECT coalesce(array_agg(marked.message_id ORDER BY marked.seq), '{}')
    INTO message_ids
    FROM marked;

    IF cardinality(message_ids) > 0 THEN
        WITH counted AS (
            UPDATE participants p
            SET unread = p.unread - cardinality(message_ids)
            WHERE p.conversation_id = p_conversation AND p.user_id = p_user
            RETURNING p.app_id
        )
        INSERT INTO out_queue (kind, app_ids, conversations, reader, message_ids, happened_at)
        SELECT 'message.read', ARRAY[counted.app_id], ARRAY[p_conversation], p_user,
               read_messages.message_ids, marked_at
        FROM counted;
    END IF;
END $$;

-- Delivered: for many users at once, whoever asks has checked that they may.
CREATE FUNCTION deliver_messages(
    p_conversations uuid[],
    p_users         text[],
    p_ids           uuid[],
    p_times         timestamptz[],  -- of the messages, exactly
    OUT message_ids uuid[],
    OUT marked_at   timestamptz,
    OUT epoch       bigint
)
-- A loop over the messages asks the index for each.
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_partition regclass;
    v_marked    uuid[];
BEGIN
    -- That a message arrived may be forgotten in a crash. There is one such mark for nearly every
    -- message: waiting for the disk with each would cost as much as sending.
    PERFORM set_config('synchronous_commit', 'off', true);
    message_ids := '{}';
    marked_at := date_trunc('milliseconds', clock_timestamp());
    epoch := chat_epoch();

    -- Nearly always one. A plan for all partitions is prepared for all of them each time; to plan for one
    -- takes less as soon as there are a few weeks.
    FOR v_partition IN
        SELECT DISTINCT to_regclass('messages_' || to_char(
            date_trunc('week', t.at AT TIME ZONE 'UTC'), 'YYYYMMDD'))
        FROM unnest(p_times) AS t(at)
    LOOP
        CONTINUE WHEN v_partition IS NULL;
        EXECUTE format(
            $marking$
            WITH free AS MATERIALIZED (
                SELECT m.conversation_id, m.created_at
                FROM unnest($1, $2, $3, $4) AS t(conversation, reader, id, at)
                JOIN %1$s m ON m.conversation_id = t.conversation AND m.created_at = t.at
                WHERE m.message_id = t.id AND m.sender_id <> t.reader AND m.delivered_at IS NULL
                -- Who holds one is marking it. Waiting for none, batches never wait in a circle.
                FOR NO KEY UPDATE OF m SKIP LOCKED
            ),
            marked AS (
                UPDATE /* messages.deliver */ %1$s m
                SET delivered_at = $5
                FROM free f
                WHERE m.conversation_id = f.conversation_id AND m.created_at = f.created_at
                RETURNING m.message_id
            )
            SELECT coalesce(array_agg(marked.message_id), '{}')
            FROM marked
            $marking$,
            v_partition)
        INTO v_marked
        USING p_conversations, p_users, p_ids, p_times, marked_at;
        message_ids := message_ids || v_marked;
    END LOOP;
END $$;
