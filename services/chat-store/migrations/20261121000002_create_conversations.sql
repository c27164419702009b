-- Conversations of two and what each side has not read.
-- Both rows change with every message, so no index covers a column that does: updates stay HOT.

CREATE TABLE conversations (
    conversation_id uuid        NOT NULL,
    app_id          text        NOT NULL,
    booking_id      text        NOT NULL,
    first_id        text        NOT NULL,
    first_role      text        NOT NULL,
    second_id       text        NOT NULL,
    second_role     text        NOT NULL,
    last_seq        bigint      NOT NULL DEFAULT 0,
    last_at         timestamptz,
    created_at      timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now()),
    CONSTRAINT conversations_pkey PRIMARY KEY (conversation_id),
    CONSTRAINT conversations_subject_key UNIQUE (app_id, booking_id, first_id, second_id),
    CONSTRAINT conversations_sides_check CHECK (first_id <> second_id),
    CONSTRAINT conversations_last_check CHECK ((last_seq = 0) = (last_at IS NULL))
) WITH (fillfactor = 70);
COMMENT ON COLUMN conversations.conversation_id IS 'UUIDv7; immutable.';
COMMENT ON COLUMN conversations.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN conversations.booking_id IS 'What it is about; empty for the conversation of a pair; immutable.';
COMMENT ON COLUMN conversations.first_id IS 'The professional side, or the smaller id of two equals; immutable.';
COMMENT ON COLUMN conversations.first_role IS 'What the first side writes as; immutable.';
COMMENT ON COLUMN conversations.second_id IS 'The other side; immutable.';
COMMENT ON COLUMN conversations.second_role IS 'What the other side writes as; immutable.';
COMMENT ON COLUMN conversations.last_seq IS 'The place of the newest message; 0 when there is none. Only append_messages changes it, under the row lock.';
COMMENT ON COLUMN conversations.last_at IS 'created_at of the newest message.';
COMMENT ON COLUMN conversations.created_at IS 'Immutable.';

CREATE TABLE participants (
    conversation_id uuid   NOT NULL,
    user_id         text   NOT NULL,
    app_id          text   NOT NULL,
    unread          bigint NOT NULL DEFAULT 0,
    CONSTRAINT participants_pkey PRIMARY KEY (conversation_id, user_id),
    CONSTRAINT participants_unread_check CHECK (unread >= 0)
) WITH (fillfactor = 70);
CREATE INDEX participants_user_idx ON participants (app_id, user_id);
COMMENT ON COLUMN participants.conversation_id IS 'Immutable.';
COMMENT ON COLUMN participants.user_id IS 'Immutable.';
COMMENT ON COLUMN participants.app_id IS 'That of the conversation; immutable.';
COMMENT ON COLUMN participants.unread IS 'Messages of others without read_at; changes in the transaction that changes those.';
