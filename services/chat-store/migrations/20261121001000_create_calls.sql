-- Every call there was, and those there are: what is left when the shared state of calls is lost.
-- The state decides; a row follows it, and never changes again once it has an outcome.

CREATE TABLE calls (
    call_id         uuid        NOT NULL,
    app_id          text        NOT NULL,
    conversation_id uuid        NOT NULL,
    kind            text        NOT NULL,
    caller_id       text        NOT NULL,
    callee_id       text        NOT NULL,
    caller_device   text        NOT NULL,
    callee_device   text,
    version         bigint      NOT NULL,
    started_at      timestamptz NOT NULL,
    rings_until     timestamptz NOT NULL,
    grace_ms        bigint      NOT NULL,
    answered_at     timestamptz,
    ended_at        timestamptz,
    outcome         text,
    reason          text,
    told_at         timestamptz,
    CONSTRAINT calls_pkey PRIMARY KEY (call_id),
    CONSTRAINT calls_sides_check CHECK (caller_id <> callee_id),
    CONSTRAINT calls_outcome_check CHECK ((outcome IS NULL) = (ended_at IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX calls_caller_idx ON calls (app_id, caller_id, call_id);
CREATE INDEX calls_callee_idx ON calls (app_id, callee_id, call_id);
-- Small: what is in progress, and what is still to be told.
CREATE INDEX calls_open_idx ON calls (call_id) WHERE outcome IS NULL;
CREATE INDEX calls_missed_idx ON calls (app_id, callee_id, call_id)
    WHERE told_at IS NULL AND outcome IN ('no_answer', 'cancelled');
COMMENT ON COLUMN calls.call_id IS 'UUIDv7, so that ids sort by time; immutable.';
COMMENT ON COLUMN calls.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN calls.conversation_id IS 'The conversation of the two; immutable.';
COMMENT ON COLUMN calls.kind IS 'audio or video; immutable.';
COMMENT ON COLUMN calls.caller_id IS 'Who rang first; immutable.';
COMMENT ON COLUMN calls.callee_id IS 'Who was rung; immutable.';
COMMENT ON COLUMN calls.caller_device IS 'The device in the call, as far as changes told.';
COMMENT ON COLUMN calls.callee_device IS 'The device that accepted; NULL before.';
COMMENT ON COLUMN calls.version IS 'That of the newest change in this row; grows.';
COMMENT ON COLUMN calls.started_at IS 'When it began to ring; immutable.';
COMMENT ON COLUMN calls.rings_until IS 'When ringing ends by itself; immutable.';
COMMENT ON COLUMN calls.grace_ms IS 'How long a device in it may be gone, in milliseconds; immutable.';
COMMENT ON COLUMN calls.answered_at IS 'When it was accepted; NULL while it rings and for ever if nobody did.';
COMMENT ON COLUMN calls.ended_at IS 'When it was over.';
COMMENT ON COLUMN calls.outcome IS 'busy, rejected, cancelled, no_answer or ended; NULL while it lasts; set once.';
COMMENT ON COLUMN calls.reason IS 'Why it was declined, in the words of the client.';
COMMENT ON COLUMN calls.told_at IS 'When a device of the callee was told of a call it missed.';
