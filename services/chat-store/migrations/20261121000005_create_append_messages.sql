-- Appends a batch of messages: the one way in. One call, one round trip, one commit.
--
-- Locks and work are apart, on purpose. Under READ COMMITTED each command of a VOLATILE function sees what was
-- committed before that command began. The first ones take the locks; the last, begun after they were
-- granted, therefore sees every key that was stored while waiting. In one command it would not.
--
-- A plan that mentions `messages` prepares each of its partitions, which with a year of them takes longer than
-- all the rest. So what was stored before is read on its own, when there is any; to write opens one partition.

CREATE FUNCTION append_messages(
    p_apps          text[],
    p_conversations uuid[],
    p_senders       text[],
    p_keys          text[],
    p_client_keys   text[],   -- the key again where it is the client's, else NULL
    p_ids           uuid[],   -- UUIDv7 with shard and random bits; the time is filled in here
    p_kinds         text[],
    p_contents      text[],
    p_file_urls     text[],
    p_file_names    text[]
) RETURNS TABLE (
    ord             bigint,
    status          smallint,  -- 0 stored, 1 stored before, 2 key of another message, 3 no participant, 4 no conversation
    message_id      uuid,
    seq             bigint,
    created_at      timestamptz,
    delivered_at    timestamptz,
    read_at         timestamptz,
    sender_role     text,
    booking_id      text,
    first_id        text,
    first_role      text,
    second_id       text,
    second_role     text,
    last_seq        bigint,
    last_at         timestamptz,
    started_at      timestamptz,
    outbox_id       bigint,
    epoch           bigint
)
-- Planning costs four times what a small batch does, and Postgres would plan those each time. The plan
-- that is kept may be made while the tables are empty, hence without a thought of reading them whole.
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now    timestamptz;
    v_epoch  bigint;
    v_keys   message_keys[];
    v_stored messages[];
BEGIN
    -- In id order, so that batches never wait for each other in a circle.
    PERFORM 1 FROM conversations c
    WHERE c.conversation_id = ANY (p_conversations)
    ORDER BY c.conversation_id
    FOR NO KEY UPDATE;

    -- Receipts change these rows without the lock above. Were one to do so during the second command,
    -- Postgres would re-check the row against that command's old view and drop the increment.
    PERFORM 1 FROM participants p
    WHERE p.conversation_id = ANY (p_conversations)
    ORDER BY p.conversation_id, p.user_id
    FOR NO KEY UPDATE;

    v_now := date_trunc('milliseconds', clock_timestamp());
    v_epoch := chat_epoch();

    SELECT array_agg(k) INTO v_keys
    FROM (SELECT DISTINCT *
          FROM unnest(p_conversations, p_senders, p_keys) AS t(conversation, sender, key)) AS t
    JOIN message_keys k
      ON k.conversation_id = t.conversation AND k.sender_id = t.sender AND k.key = t.key;
    IF v_keys IS NOT NULL THEN
        SELECT array_agg(m) INTO v_stored
        FROM unnest(v_keys) k
        JOIN messages m ON m.conversation_id = k.conversation_id AND m.created_at = k.created_at;
    END IF;

    RETURN QUERY
    WITH input AS MATERIALIZED (
        SELECT t.*, c.app_id IS NOT NULL AS known, t.sender IN (c.first_id, c.second_id) AS allowed,
               CASE t.sender WHEN c.first_id THEN c.first_role ELSE c.second_role END AS role,
               c.booking_id, c.first_id, c.first_role, c.second_id, c.second_role,
               c.last_seq, c.last_at, c.created_at AS started_at
        FROM unnest(p_apps, p_conversations, p_senders, p_keys, p_client_keys, p_ids,
                    p_kinds, p_contents, p_file_urls, p_file_names)
             WITH ORDINALITY AS t(app, conversation, sender, key, client_key, id,
                                  kind, content, file_url, file_name, ord)
        LEFT JOIN conversations c ON c.conversation_id = t.conversation AND c.app_id = t.app
    ),
    -- A key lives as long as its message.
    stored AS MATERIALIZED (
        SELECT i.ord, m.message_id, m.seq, m.created_at, m.delivered_at, m.read_at,
               (m.kind, m.content, m.file_url, m.file_name)
                   IS NOT DISTINCT FROM (i.kind, i.content, i.file_url, i.file_name) AS same
        FROM input i
        JOIN unnest(v_keys) k
          ON k.conversation_id = i.conversation AND k.sender_id = i.sender AND k.key = i.key
        JOIN unnest(v_stored) m
          ON m.conversation_id = k.conversation_id AND m.created_at = k.created_at
        WHERE i.allowed
    ),
    -- The same key twice in one batch: the first is the message.
    chosen AS MATERIALIZED (
        SELECT min(i.ord) AS ord
        FROM input i
        WHERE i.allowed AND NOT EXISTS (SELECT 1 FROM stored s WHERE s.ord = i.ord)
        GROUP BY i.conversation, i.sender, i.key
    ),
    placed AS MATERIALIZED (
        SELECT i.*,
               i.last_seq + row_number() OVER w AS new_seq,
               greatest(v_now, i.last_at + interval '1 millisecond')
                   + (row_number() OVER w - 1) * interval '1 millisecond' AS new_at
        FROM input i
        JOIN chosen USING (ord)
        WINDOW w AS (PARTITION BY i.conversation ORDER BY i.ord)
    ),
    fresh AS MATERIALIZED (
        SELECT p.*,
               (lpad(to_hex((extract(epoch FROM p.new_at) * 1000)::bigint), 12, '0')
                   || substr(replace(p.id::text, '-', ''), 13))::uuid AS new_id
        FROM placed p
    ),
    into_messages AS (
        INSERT /* messages.append */ INTO messages (
            conversation_id, created_at, message_id, seq, sender_id, sender_role,
            kind, content, file_url, file_name, client_key)
        SELECT f.conversation, f.new_at, f.new_id, f.new_seq, f.sender, f.role,
               f.kind, f.content, f.file_url, f.file_name, f.client_key
        FROM fresh f
    ),
    into_keys AS (
        INSERT INTO message_keys (conversation_id, sender_id, key, created_at)
        SELECT f.conversation, f.sender, f.key, f.new_at
        FROM fresh f
        -- Left behind by a message that retention took.
        ON CONFLICT ON CONSTRAINT message_keys_pkey DO UPDATE SET created_at = EXCLUDED.created_at
    ),
    into_marks AS (
        INSERT INTO message_marks (conversation_id, seq, created_at)
        SELECT f.conversation, f.new_seq, f.new_at
        FROM fresh f
        WHERE f.new_seq % 128 = 1
    ),
    heads AS MATERIALIZED (
        SELECT f.conversation, min(f.app) AS app,
               min(f.first_id) AS first_id, min(f.second_id) AS second_id,
               min(f.new_seq) AS first_seq,
               max(f.new_seq) AS last_seq, max(f.new_at) AS last_at,
               count(*) FILTER (WHERE f.sender = f.first_id) AS from_first,
               count(*) FILTER (WHERE f.sender = f.second_id) AS from_second
        FROM fresh f
        GROUP BY f.conversation
    ),
    into_conversations AS (
        UPDATE conversations c
        SET last_seq = h.last_seq, last_at = h.last_at
        FROM heads h
        WHERE c.conversation_id = h.conversation
    ),
    into_participants AS (
        UPDATE participants p
        SET unread = p.unread + n.added
        FROM (SELECT h.conversation, h.second_id AS user_id, h.from_first AS added
              FROM heads h WHERE h.from_first > 0
              UNION ALL
              SELECT h.conversation, h.first_id, h.from_second
              FROM heads h WHERE h.from_second > 0) n
        WHERE p.conversation_id = n.conversation AND p.user_id = n.user_id
    ),
    into_outbox AS (
        INSERT INTO outbox (app_ids, conversations, first_seqs, last_seqs)
        SELECT array_agg(h.app), array_agg(h.conversation),
               array_agg(h.first_seq), array_agg(h.last_seq)
        FROM heads h
        HAVING count(*) > 0
        RETURNING outbox_id
    )
    SELECT i.ord,
           (CASE
                WHEN NOT i.known THEN 4
                WHEN NOT i.allowed THEN 3
                WHEN s.ord IS NOT NULL THEN CASE WHEN s.same THEN 1 ELSE 2 END
                WHEN f.ord = i.ord THEN 0
                WHEN (f.kind, f.content, f.file_url, f.file_name)
                     IS NOT DISTINCT FROM (i.kind, i.content, i.file_url, i.file_name) THEN 1
                ELSE 2
            END)::smallint,
           coalesce(s.message_id, f.new_id),
           coalesce(s.seq, f.new_seq),
           coalesce(s.created_at, f.new_at),
           s.delivered_at,
           s.read_at,
           i.role,
           i.booking_id, i.first_id, i.first_role, i.second_id, i.second_role,
           coalesce(h.last_seq, i.last_seq),
           coalesce(h.last_at, i.last_at),
           i.started_at,
           (SELECT o.outbox_id FROM into_outbox o),
           v_epoch
    FROM input i
    LEFT JOIN stored s ON s.ord = i.ord
    LEFT JOIN fresh f
      ON f.conversation = i.conversation AND f.sender = i.sender AND f.key = i.key
    LEFT JOIN heads h ON h.conversation = i.conversation
    ORDER BY i.ord;
END $$;
