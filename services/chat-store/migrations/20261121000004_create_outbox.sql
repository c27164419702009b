-- What was committed and must be told to sockets, and the generation of the sequence numbers.

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
