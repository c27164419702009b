-- Erasing a user takes the files that it attached, too, and ends its tokens first.

ALTER TABLE erasures
    ADD COLUMN files      bigint NOT NULL DEFAULT 0,
    ADD COLUMN revoked_at timestamptz;
COMMENT ON COLUMN erasures.files IS 'How many files that it had attached were removed so far.';
COMMENT ON COLUMN erasures.revoked_at IS 'When its tokens were revoked; set once.';
GRANT UPDATE (revoked_at) ON erasures TO chat_custodian;

CREATE INDEX attachments_uploader_idx ON attachments (app_id, uploader_id);

-- Forgets files whose bytes are gone, and counts them.
CREATE FUNCTION erase_files(p_pseudonym text, p_ids uuid[]) RETURNS void
LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    WITH gone AS (
        DELETE /* attachments.erase */ FROM attachments a
        WHERE a.attachment_id = ANY (p_ids)
        RETURNING a.attachment_id
    )
    UPDATE erasures e SET files = e.files + (SELECT count(*) FROM gone)
    WHERE e.pseudonym = p_pseudonym
$$;
REVOKE EXECUTE ON FUNCTION erase_files(text, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_files(text, uuid[]) TO chat_custodian;
