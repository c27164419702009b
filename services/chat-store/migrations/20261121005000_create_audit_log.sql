-- Who did what with whose messages: a log that is only added to, chained by hashes within each app.
-- See docs/adr/0018-accesses-are-chained-before-they-are-answered.md.

CREATE TABLE audit_log (
    app_id          text        NOT NULL,
    place           bigint      NOT NULL,
    at              timestamptz NOT NULL,
    actor           text        NOT NULL,
    action          text        NOT NULL,
    outcome         text        NOT NULL,
    device          text,
    subject         text,
    conversation_id uuid,
    first_seq       bigint,
    last_seq        bigint,
    detail          text,
    hash            bytea       NOT NULL,
    CONSTRAINT audit_log_pkey PRIMARY KEY (app_id, place),
    CONSTRAINT audit_log_place_check CHECK (place > 0),
    CONSTRAINT audit_log_seqs_check CHECK ((first_seq IS NULL) = (last_seq IS NULL))
);
CREATE INDEX audit_log_conversation_idx ON audit_log (conversation_id, place)
    WHERE conversation_id IS NOT NULL;
CREATE INDEX audit_log_subject_idx ON audit_log (app_id, subject, place) WHERE subject IS NOT NULL;
CREATE INDEX audit_log_actor_idx ON audit_log (app_id, actor, place);
COMMENT ON TABLE audit_log IS 'Nothing in it ever changes, and nothing in it is what somebody wrote.';
COMMENT ON COLUMN audit_log.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN audit_log.place IS '1, 2, 3, without gaps within the app; immutable.';
COMMENT ON COLUMN audit_log.at IS 'When it was recorded; immutable.';
COMMENT ON COLUMN audit_log.actor IS 'The user, or the person that an internal service acted for; immutable.';
COMMENT ON COLUMN audit_log.action IS 'What was done or asked for; immutable.';
COMMENT ON COLUMN audit_log.outcome IS 'done or refused; immutable.';
COMMENT ON COLUMN audit_log.device IS 'The connection that asked, where that is known; immutable.';
COMMENT ON COLUMN audit_log.subject IS 'The user that it was about, if not a conversation; immutable.';
COMMENT ON COLUMN audit_log.conversation_id IS 'The conversation that it was about, or the id that was named in vain; immutable.';
COMMENT ON COLUMN audit_log.first_seq IS 'The place of the first message that was shown; immutable.';
COMMENT ON COLUMN audit_log.last_seq IS 'That of the last; immutable.';
COMMENT ON COLUMN audit_log.detail IS 'Counts and reasons; immutable.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 of the hash before it and of this row; immutable.';

CREATE TABLE audit_heads (
    app_id text   NOT NULL,
    place  bigint NOT NULL,
    hash   bytea  NOT NULL,
    CONSTRAINT audit_heads_pkey PRIMARY KEY (app_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE audit_heads IS 'The end of each chain, and what its writers take turns by.';
COMMENT ON COLUMN audit_heads.app_id IS 'Immutable.';
COMMENT ON COLUMN audit_heads.place IS 'Of the newest row of audit_log; 0 when there is none.';
COMMENT ON COLUMN audit_heads.hash IS 'Its hash; that of the app''s name when there is none.';

-- A field as the chain hashes it: nothing and the empty text differ, and no text can look like two.
CREATE FUNCTION audit_field(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(octet_length(value) || ':' || value, '-')
$$;

-- Adds rows to the chains of their apps, in order. Writers of an app take turns until their commit, so
-- whoever writes much hands over many rows at a time.
CREATE FUNCTION record_accesses(
    p_apps          text[],
    p_actors        text[],
    p_actions       text[],
    p_outcomes      text[],
    p_devices       text[],
    p_subjects      text[],
    p_conversations uuid[],
    p_first_seqs    bigint[],
    p_last_seqs     bigint[],
    p_details       text[]
) RETURNS TABLE (ord bigint, place bigint, hash bytea)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    r       record;
    v_app   text;
    v_place bigint;
    v_hash  bytea;
    v_at    timestamptz;
BEGIN
    -- By name, so that batches never wait for each other in a circle.
    FOR r IN
        SELECT *
        FROM unnest(p_apps, p_actors, p_actions, p_outcomes, p_devices, p_subjects,
                    p_conversations, p_first_seqs, p_last_seqs, p_details)
             WITH ORDINALITY AS t(app, actor, action, outcome, device, subject,
                                  conversation, first_seq, last_seq, detail, ord)
        ORDER BY t.app, t.ord
    LOOP
        IF r.app IS DISTINCT FROM v_app THEN
            v_app := r.app;
            INSERT INTO audit_heads (app_id, place, hash)
            VALUES (v_app, 0, sha256(convert_to(v_app, 'UTF8')))
            ON CONFLICT DO NOTHING;
            SELECT h.place, h.hash INTO v_place, v_hash
            FROM audit_heads h
            WHERE h.app_id = v_app
            FOR NO KEY UPDATE;
            v_at := clock_timestamp();
        END IF;
        v_place := v_place + 1;
        v_hash := sha256(v_hash || convert_to(
            audit_field(r.app) || audit_field(v_place::text)
            || audit_field((extract(epoch FROM v_at) * 1000000)::bigint::text)
            || audit_field(r.actor) || audit_field(r.action) || audit_field(r.outcome)
            || audit_field(r.device) || audit_field(r.subject) || audit_field(r.conversation::text)
            || audit_field(r.first_seq::text) || audit_field(r.last_seq::text)
            || audit_field(r.detail), 'UTF8'));
        INSERT /* audit.record */ INTO audit_log (
            app_id, place, at, actor, action, outcome, device, subject, conversation_id,
            first_seq, last_seq, detail, hash)
        VALUES (r.app, v_place, v_at, r.actor, r.action, r.outcome, r.device, r.subject,
                r.conversation, r.first_seq, r.last_seq, r.detail, v_hash);
        UPDATE audit_heads h SET place = v_place, hash = v_hash WHERE h.app_id = v_app;
        ord := r.ord;
        place := v_place;
        hash := v_hash;
        RETURN NEXT;
    END LOOP;
END $$;
