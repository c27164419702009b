-- Messages in weekly partitions, their idempotency keys, and marks to find a place by.

CREATE TABLE messages (
    conversation_id uuid        NOT NULL,
    created_at      timestamptz NOT NULL,
    message_id      uuid        NOT NULL,
    seq             bigint      NOT NULL,
    sender_id       text        NOT NULL,
    sender_role     text        NOT NULL,
    kind            text        NOT NULL,
    content         text        NOT NULL,
    file_url        text,
    file_name       text,
    client_key      text,
    delivered_at    timestamptz,
    read_at         timestamptz,
    CONSTRAINT messages_pkey PRIMARY KEY (conversation_id, created_at),
    CONSTRAINT messages_seq_check CHECK (seq > 0),
    CONSTRAINT messages_read_check CHECK (read_at IS NULL OR delivered_at IS NOT NULL)
) PARTITION BY RANGE (created_at);
CREATE INDEX messages_id_idx ON messages (message_id);
COMMENT ON COLUMN messages.conversation_id IS 'Immutable.';
COMMENT ON COLUMN messages.created_at IS 'Whole milliseconds, strictly increasing with seq within a conversation; immutable.';
COMMENT ON COLUMN messages.message_id IS 'UUIDv7 whose time is created_at; immutable.';
COMMENT ON COLUMN messages.seq IS 'Place in the conversation: 1, 2, 3, without gaps; immutable.';
COMMENT ON COLUMN messages.sender_id IS 'Who wrote it; immutable.';
COMMENT ON COLUMN messages.sender_role IS 'What the sender wrote as; immutable.';
COMMENT ON COLUMN messages.kind IS 'text, file, image, voice or system; immutable.';
COMMENT ON COLUMN messages.content IS 'The text; personal; may be empty beside a file; immutable.';
COMMENT ON COLUMN messages.file_url IS 'The file it points to; immutable.';
COMMENT ON COLUMN messages.file_name IS 'What the file is called; immutable.';
COMMENT ON COLUMN messages.client_key IS 'The client''s own id of it, for readers; immutable. What makes it unique is in message_keys.';
COMMENT ON COLUMN messages.delivered_at IS 'When it first reached the other side; set once.';
COMMENT ON COLUMN messages.read_at IS 'When the other side read it; set once.';

-- Not partitioned: see docs/adr/0001-idempotency-keys-have-their-own-table.md.
CREATE TABLE message_keys (
    conversation_id uuid        NOT NULL,
    sender_id       text        NOT NULL,
    key             text        NOT NULL,
    created_at      timestamptz NOT NULL,
    CONSTRAINT message_keys_pkey PRIMARY KEY (conversation_id, sender_id, key)
);
COMMENT ON COLUMN message_keys.conversation_id IS 'Immutable.';
COMMENT ON COLUMN message_keys.sender_id IS 'Immutable.';
COMMENT ON COLUMN message_keys.key IS 'The client''s id of a message, else one made for it; immutable.';
COMMENT ON COLUMN message_keys.created_at IS 'With the conversation, the message''s primary key.';

CREATE TABLE message_marks (
    conversation_id uuid        NOT NULL,
    seq             bigint      NOT NULL,
    created_at      timestamptz NOT NULL,
    CONSTRAINT message_marks_pkey PRIMARY KEY (conversation_id, seq)
);
COMMENT ON TABLE message_marks IS 'The time of each conversation''s messages 1, 129, 257, …: where in time a place lies, so that reading from it opens the partitions it needs and no other.';
COMMENT ON COLUMN message_marks.conversation_id IS 'Immutable.';
COMMENT ON COLUMN message_marks.seq IS 'A place; immutable.';
COMMENT ON COLUMN message_marks.created_at IS 'created_at of the message there; immutable.';

-- Makes the weekly partitions of `messages` from the week of `from_day` on that are missing.
-- There is no default partition: it would hide that this is not called, and make adding one slow.
CREATE FUNCTION create_message_partitions(from_day date, weeks integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    week       timestamp := date_trunc('week', from_day::timestamp);
    partition  text;
    made       integer := 0;
BEGIN
    -- One replica at a time; the others find everything made.
    PERFORM pg_advisory_xact_lock(hashtext('create_message_partitions'));
    FOR i IN 1..weeks LOOP
        partition := 'messages_' || to_char(week, 'YYYYMMDD');
        IF to_regclass(partition) IS NULL THEN
            -- Made apart and then attached: attaching does not block appends.
            EXECUTE format(
                'CREATE TABLE %I (LIKE messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS) WITH (fillfactor = 90)',
                partition);
            EXECUTE format(
                'ALTER TABLE messages ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                partition, week::text || '+00', (week + interval '1 week')::text || '+00');
            made := made + 1;
        END IF;
        week := week + interval '1 week';
    END LOOP;
    RETURN made;
END $$;

-- This week, the last one for a clock that is behind, and four ahead.
SELECT create_message_partitions((now() AT TIME ZONE 'UTC')::date - 7, 6);
