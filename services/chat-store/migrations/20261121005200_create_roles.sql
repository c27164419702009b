-- What each service may do. The owner of the schema migrates, and nothing else that runs is it; the store
-- works as a member of chat_service, which changes no content and deletes no message; expiry, holds and
-- erasure as a member of chat_custodian. See docs/adr/0019-the-store-may-not-change-what-was-written.md.

-- Roles are the whole server's: another database of it, or an administrator, may have made them.
DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['chat_service', 'chat_custodian'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO chat_service, chat_custodian;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO chat_service, chat_custodian;

GRANT INSERT, UPDATE ON users, bookings, businesses, associations TO chat_service;
GRANT INSERT, UPDATE (last_seq, last_at) ON conversations TO chat_service;
GRANT INSERT, UPDATE (unread) ON participants TO chat_service;
GRANT INSERT, UPDATE (delivered_at, read_at) ON messages TO chat_service;
GRANT INSERT, UPDATE (created_at) ON message_keys TO chat_service;
GRANT INSERT ON message_marks TO chat_service;
GRANT INSERT, UPDATE, DELETE ON outbox, out_queue TO chat_service;
GRANT INSERT, UPDATE ON calls TO chat_service;
GRANT INSERT, UPDATE, DELETE ON revocations TO chat_service;
GRANT USAGE ON SEQUENCE revocation_numbers TO chat_service;

GRANT INSERT, UPDATE, DELETE ON legal_holds TO chat_custodian;
GRANT UPDATE (finished_at, audit_place, audit_hash) ON erasures TO chat_custodian;

-- What needs more than its caller has runs as the owner, and finds nothing but what the owner made.
ALTER FUNCTION create_message_partitions(date, integer)
    SECURITY DEFINER SET search_path = public, pg_temp;
-- It names partitions, on which nobody else has a privilege; all it sets is that messages arrived.
ALTER FUNCTION deliver_messages(uuid[], text[], uuid[], timestamptz[])
    SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION record_accesses(
    text[], text[], text[], text[], text[], text[], uuid[], bigint[], bigint[], text[])
    SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION expire_messages(text, timestamptz, uuid, bigint)
    SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION drop_empty_message_partitions(timestamptz)
    SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION begin_erasure(text, text, text)
    SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION erase_step(text, text, text, bigint)
    SECURITY DEFINER SET search_path = public, pg_temp;

REVOKE EXECUTE ON FUNCTION expire_messages(text, timestamptz, uuid, bigint),
    drop_empty_message_partitions(timestamptz), begin_erasure(text, text, text),
    erase_step(text, text, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION expire_messages(text, timestamptz, uuid, bigint),
    drop_empty_message_partitions(timestamptz), begin_erasure(text, text, text),
    erase_step(text, text, text, bigint) TO chat_custodian;
REVOKE EXECUTE ON FUNCTION create_message_partitions(date, integer),
    deliver_messages(uuid[], text[], uuid[], timestamptz[]),
    record_accesses(
        text[], text[], text[], text[], text[], text[], uuid[], bigint[], bigint[], text[])
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_message_partitions(date, integer),
    deliver_messages(uuid[], text[], uuid[], timestamptz[]),
    record_accesses(
        text[], text[], text[], text[], text[], text[], uuid[], bigint[], bigint[], text[])
    TO chat_service;
