-- The log of accesses is kept for six years at least; the owner of the schema may drop what is older.

-- Drops the rows of an app up to a place, says so in the log, and returns the head of what is gone: the
-- chain of the rest begins there. Refuses when the row at the place is younger than six years, or not there.
CREATE FUNCTION drop_accesses(p_app text, p_place bigint) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_head text;
    v_gone bigint;
BEGIN
    SELECT a.app_id || ':' || a.place || ':' || encode(a.hash, 'hex') INTO v_head
    FROM audit_log a
    WHERE a.app_id = p_app AND a.place = p_place AND a.at < now() - interval '6 years';
    IF v_head IS NULL THEN
        RAISE EXCEPTION 'no row of % that is older than six years is at place %', p_app, p_place;
    END IF;
    DELETE /* audit.drop */ FROM audit_log a WHERE a.app_id = p_app AND a.place <= p_place;
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    PERFORM record_accesses(
        ARRAY[p_app], ARRAY[session_user::text], ARRAY['drop'], ARRAY['done'], ARRAY[NULL::text],
        ARRAY[NULL::text], ARRAY[NULL::uuid], ARRAY[NULL::bigint], ARRAY[NULL::bigint],
        ARRAY['rows=' || v_gone || ' head=' || v_head]);
    RETURN v_head;
END $$;
REVOKE EXECUTE ON FUNCTION drop_accesses(text, bigint) FROM PUBLIC;
COMMENT ON TABLE audit_log IS 'No row ever changes, none is deleted for six years, and nothing in it is what somebody wrote.';
