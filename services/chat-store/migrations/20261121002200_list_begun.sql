-- Conversations by when they began, for gateways that look for what they missed.
CREATE INDEX message_marks_begun_idx ON message_marks (created_at, conversation_id) WHERE seq = 1;
