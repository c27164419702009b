-- Messages that are kept for some time only. They are hidden from their last moment on by whoever reads;
-- this is how they are counted until then, and how they leave the tables.

-- How many messages a user has not read that are still there: the counter, unless some of the
-- conversation's messages have expired.
CREATE FUNCTION unread_messages(
    p_conversation uuid,
    p_user         text,
    p_unread       bigint,
    p_since        timestamptz
) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    IF p_unread = 0 OR p_since IS NULL OR NOT EXISTS (
        SELECT FROM message_marks k
        WHERE k.conversation_id = p_conversation AND k.created_at < p_since) THEN
        RETURN p_unread;
    END IF;
    RETURN (
        SELECT count(*)
        FROM (SELECT 1
              FROM messages m
              WHERE m.conversation_id = p_conversation
                AND m.created_at >= p_since
                AND m.sender_id <> p_user
                AND m.read_at IS NULL
              LIMIT p_unread) AS u);
END $$;

-- Deletes messages of an app that were sent before `p_before`, with what belongs to them: at most about
-- `p_limit`, from the conversation after `p_after` on. Returns how many, and where to go on; nowhere
-- when it came through. The counters go down by what nobody read.
CREATE FUNCTION expire_messages(
    p_app    text,
    p_before timestamptz,
    p_after  uuid,
    p_limit  bigint,
    OUT deleted bigint,
    OUT go_on   uuid
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    v_conversation uuid;
    v_first        text;
    v_second       text;
    v_count        bigint;
    v_of_first     bigint;
    v_of_second    bigint;
    v_last         timestamptz;
    v_seen         bigint := 0;
BEGIN
    deleted := 0;
    go_on := p_after;
    FOR v_conversation, v_first, v_second IN
        SELECT c.conversation_id, c.first_id, c.second_id
        FROM conversations c
        WHERE c.app_id = p_app AND c.conversation_id > p_after AND c.last_seq > 0
          AND EXISTS (
              SELECT FROM message_marks k
              WHERE k.conversation_id = c.conversation_id AND k.created_at < p_before)
        ORDER BY c.conversation_id
        LIMIT p_limit
    LOOP
        -- As receipts do: whoever changes what is unread holds the counters.
        PERFORM 1 FROM participants p
        WHERE p.conversation_id = v_conversation
        ORDER BY p.user_id
        FOR NO KEY UPDATE;

        -- Up to the oldest that stays in this round.
        SELECT max(o.created_at), count(*) INTO v_last, v_count
        FROM (SELECT m.created_at
              FROM messages m
              WHERE m.conversation_id = v_conversation AND m.created_at < p_before
                AND m.created_at >= (
                    SELECT k.created_at FROM message_marks k
                    WHERE k.conversation_id = v_conversation
                    ORDER BY k.seq
                    LIMIT 1)
              ORDER BY m.created_at
              LIMIT p_limit - deleted) AS o;
        IF v_count > 0 THEN
            WITH gone AS (
                DELETE /* messages.expire */ FROM messages m
                WHERE m.conversation_id = v_conversation AND m.created_at <= v_last
                RETURNING m.sender_id, m.read_at
            )
            SELECT count(*) FILTER (WHERE g.sender_id <> v_first AND g.read_at IS NULL),
                   count(*) FILTER (WHERE g.sender_id <> v_second AND g.read_at IS NULL)
            INTO v_of_first, v_of_second
            FROM gone g;
            UPDATE participants p
            SET unread = p.unread - CASE p.user_id WHEN v_first THEN v_of_first ELSE v_of_second END
            WHERE p.conversation_id = v_conversation
              AND CASE p.user_id WHEN v_first THEN v_of_first ELSE v_of_second END > 0;
            DELETE FROM message_keys k
            WHERE k.conversation_id = v_conversation AND k.created_at <= v_last;
            -- The last mark before what is left says where that begins.
            DELETE FROM message_marks k
            WHERE k.conversation_id = v_conversation
              AND k.seq < (SELECT max(o.seq) FROM message_marks o
                           WHERE o.conversation_id = v_conversation AND o.created_at <= v_last);
        END IF;
        deleted := deleted + v_count;
        IF deleted >= p_limit THEN
            -- There may be more in it.
            RETURN;
        END IF;
        go_on := v_conversation;
        v_seen := v_seen + 1;
    END LOOP;
    IF v_seen < p_limit THEN
        go_on := NULL;
    END IF;
END $$;

-- Drops partitions of past weeks that nothing is left in; returns how many. Appends wait for it for half
-- a second at most: what is not to be had in that time is dropped another time.
CREATE FUNCTION drop_empty_message_partitions(p_before timestamptz) RETURNS integer
LANGUAGE plpgsql
SET lock_timeout = '500ms'
AS $$
DECLARE
    v_partition text;
    v_any       boolean;
    v_dropped   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('create_message_partitions'));
    FOR v_partition IN
        SELECT c.relname
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'messages'::regclass
          AND to_date(substr(c.relname, 10), 'YYYYMMDD') + 7 <= (p_before AT TIME ZONE 'UTC')::date
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', v_partition) INTO v_any;
        CONTINUE WHEN v_any;
        EXECUTE format('DROP TABLE %I', v_partition);
        v_dropped := v_dropped + 1;
    END LOOP;
    RETURN v_dropped;
END $$;
