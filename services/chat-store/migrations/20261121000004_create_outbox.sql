-- What was committed and must be told to sockets and to other services, and the generation of the sequence
-- numbers.

CREATE TABLE outbox (
    outbox_id     bigint      GENERATED ALWAYS AS IDENTITY,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 second',
    app_ids       text[]      NOT NULL,
    conversations uuid[]      NOT NULL,
    first_seqs    bigint[]    NOT NULL,
    last_seqs     bigint[]    NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (outbox_id)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE outbox IS 'One row per append transaction; gone once its events were told for certain.';
COMMENT ON COLUMN outbox.outbox_id IS 'Immutable.';
COMMENT ON COLUMN outbox.created_at IS 'When it was committed, near enough; immutable.';
COMMENT ON COLUMN outbox.due_at IS 'When somebody else may tell it: its writer gets a second, each sweeper some more.';
COMMENT ON COLUMN outbox.app_ids IS 'The app of each conversation; immutable.';
COMMENT ON COLUMN outbox.conversations IS 'The conversations that got messages; immutable.';
COMMENT ON COLUMN outbox.first_seqs IS 'The place of the first new message in each; immutable.';
COMMENT ON COLUMN outbox.last_seqs IS 'The place of the last; immutable.';

CREATE TABLE out_queue (
    out_id        bigint      GENERATED ALWAYS AS IDENTITY,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind          text        NOT NULL,
    app_ids       text[]      NOT NULL,
    conversations uuid[]      NOT NULL,
    first_seqs    bigint[]    NOT NULL DEFAULT '{}',
    last_seqs     bigint[]    NOT NULL DEFAULT '{}',
    reader        text,
    message_ids   uuid[]      NOT NULL DEFAULT '{}',
    happened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT out_queue_pkey PRIMARY KEY (out_id),
    CONSTRAINT out_queue_kind_check
        CHECK (kind IN ('message.created', 'message.read', 'conversation.created')),
    CONSTRAINT out_queue_reader_check CHECK ((kind = 'message.read') = (reader IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE out_queue IS 'What other services are still to be told; gone once the stream has it. Messages come here only if the stream did not take them at once.';
COMMENT ON COLUMN out_queue.out_id IS 'Immutable.';
COMMENT ON COLUMN out_queue.created_at IS 'When it came here; immutable. What is too old is given up.';
COMMENT ON COLUMN out_queue.due_at IS 'When somebody may tell it; each who tries gets some seconds.';
COMMENT ON COLUMN out_queue.kind IS 'What happened; immutable.';
COMMENT ON COLUMN out_queue.app_ids IS 'The app of each conversation; immutable.';
COMMENT ON COLUMN out_queue.conversations IS 'Where it happened: one, or as in the outbox; immutable.';
COMMENT ON COLUMN out_queue.first_seqs IS 'As in the outbox; immutable.';
COMMENT ON COLUMN out_queue.last_seqs IS 'As in the outbox; immutable.';
COMMENT ON COLUMN out_queue.reader IS 'Who read messages; immutable.';
COMMENT ON COLUMN out_queue.message_ids IS 'The messages that were read; immutable.';
COMMENT ON COLUMN out_queue.happened_at IS 'When they were read; immutable.';

-- However a conversation is made, other services are told.
CREATE FUNCTION queue_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT /* out_queue.conversation */ INTO out_queue (kind, app_ids, conversations)
    VALUES ('conversation.created', ARRAY[NEW.app_id], ARRAY[NEW.conversation_id]);
    RETURN NULL;
END $$;
CREATE TRIGGER conversations_created AFTER INSERT ON conversations
FOR EACH ROW EXECUTE FUNCTION queue_conversation();

CREATE TABLE epoch (
    only_row   boolean NOT NULL DEFAULT true,
    generation integer NOT NULL,
    CONSTRAINT epoch_pkey PRIMARY KEY (only_row),
    CONSTRAINT epoch_only_row_check CHECK (only_row),
    CONSTRAINT epoch_generation_check CHECK (generation > 0)
);
COMMENT ON COLUMN epoch.only_row IS 'Keeps it one row.';
COMMENT ON COLUMN epoch.generation IS 'Raised by hand when an older state was restored, so that readers forget what they knew.';
INSERT INTO epoch (generation) VALUES (1);

-- The generation of all sequence numbers: the row's above, and the timeline of the server, which
-- changes by itself when a standby is promoted that may lack the last messages.
-- In PL/pgSQL, which keeps the plan: a function in SQL is parsed anew in each transaction.
CREATE FUNCTION chat_epoch() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT (generation::bigint << 32)
             | ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
        FROM epoch
    );
END $$;
