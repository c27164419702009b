-- Files that users attach to messages. Their bytes are elsewhere.

CREATE TABLE attachments (
    attachment_id   uuid        NOT NULL,
    app_id          text        NOT NULL,
    conversation_id uuid        NOT NULL,
    uploader_id     text        NOT NULL,
    file_name       text        NOT NULL,
    content_type    text        NOT NULL,
    size            bigint      NOT NULL,
    created_at      timestamptz NOT NULL,
    copy_id         uuid,
    sent_at         timestamptz,
    CONSTRAINT attachments_pkey PRIMARY KEY (attachment_id),
    CONSTRAINT attachments_size_check CHECK (size > 0),
    CONSTRAINT attachments_sent_check CHECK ((copy_id IS NULL) = (sent_at IS NULL))
);
-- What is announced and not sent: of somebody, and for too long.
CREATE INDEX attachments_unsent_idx ON attachments (app_id, uploader_id) WHERE sent_at IS NULL;
CREATE INDEX attachments_abandoned_idx ON attachments (created_at) WHERE sent_at IS NULL;
-- What leaves with the last message that names it.
CREATE INDEX attachments_sent_idx ON attachments (app_id, sent_at) WHERE sent_at IS NOT NULL;
COMMENT ON COLUMN attachments.attachment_id IS 'UUIDv7; immutable.';
COMMENT ON COLUMN attachments.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN attachments.conversation_id IS 'The one conversation whose messages may name it; immutable.';
COMMENT ON COLUMN attachments.uploader_id IS 'Who alone may send it; immutable.';
COMMENT ON COLUMN attachments.file_name IS 'As the uploader calls it; immutable.';
COMMENT ON COLUMN attachments.content_type IS 'As the uploader says; checked before copy_id is set; immutable.';
COMMENT ON COLUMN attachments.size IS 'In bytes; checked before copy_id is set; immutable.';
COMMENT ON COLUMN attachments.created_at IS 'When it was announced; immutable.';
COMMENT ON COLUMN attachments.copy_id IS 'Which copy of the upload was found to be what was announced; set once.';
COMMENT ON COLUMN attachments.sent_at IS 'When a message named it for the last time; only grows.';
