-- What the store may do with the files that users attach.

GRANT SELECT, INSERT, UPDATE (copy_id, sent_at), DELETE ON attachments TO chat_service;
GRANT SELECT ON attachments TO chat_custodian;
