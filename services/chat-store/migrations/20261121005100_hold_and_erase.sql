-- What has to stay whatever its age, and users who have to go whatever they wrote.

CREATE TABLE legal_holds (
    app_id    text        NOT NULL,
    kind      text        NOT NULL,
    target    text        NOT NULL,
    reason    text        NOT NULL,
    placed_by text        NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT legal_holds_pkey PRIMARY KEY (app_id, kind, target),
    CONSTRAINT legal_holds_kind_check CHECK (kind IN ('user', 'conversation'))
);
COMMENT ON TABLE legal_holds IS 'While a row is here, nothing of its user or conversation is deleted or erased.';
COMMENT ON COLUMN legal_holds.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN legal_holds.kind IS 'user or conversation; immutable.';
COMMENT ON COLUMN legal_holds.target IS 'Its id; immutable.';
COMMENT ON COLUMN legal_holds.reason IS 'In the words of whoever placed it.';
COMMENT ON COLUMN legal_holds.placed_by IS 'Who did.';
COMMENT ON COLUMN legal_holds.placed_at IS 'When it was first placed; immutable.';

CREATE TABLE erasures (
    pseudonym     text        NOT NULL,
    app_id        text        NOT NULL,
    user_digest   bytea       NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    messages      bigint      NOT NULL DEFAULT 0,
    conversations bigint      NOT NULL DEFAULT 0,
    finished_at   timestamptz,
    audit_place   bigint,
    audit_hash    bytea,
    CONSTRAINT erasures_pkey PRIMARY KEY (pseudonym)
);
CREATE INDEX erasures_user_idx ON erasures (app_id, user_digest);
COMMENT ON COLUMN erasures.pseudonym IS 'What stands for the user from now on; immutable.';
COMMENT ON COLUMN erasures.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN erasures.user_digest IS 'SHA-256 of the user''s id: who knows it finds this, and nobody else; immutable.';
COMMENT ON COLUMN erasures.started_at IS 'Immutable.';
COMMENT ON COLUMN erasures.messages IS 'How many of its messages were erased so far.';
COMMENT ON COLUMN erasures.conversations IS 'How many of its conversations came to the end.';
COMMENT ON COLUMN erasures.finished_at IS 'When nothing was left; set once.';
COMMENT ON COLUMN erasures.audit_place IS 'The row of audit_log that says so.';
COMMENT ON COLUMN erasures.audit_hash IS 'Its hash.';

-- Whether somebody asked for a conversation, or for one of its people, to be kept.
CREATE FUNCTION is_held(p_app text, p_conversation uuid, p_first text, p_second text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM legal_holds h
        WHERE h.app_id = p_app AND h.kind = 'conversation' AND h.target = p_conversation::text
           OR h.app_id = p_app AND h.kind = 'user' AND h.target IN (p_first, p_second))
$$;

-- Finds the erasure of a user that was begun, or begins one. None if the user, or somebody it has a
-- conversation with, or one of these, is held. One that is finished is found again while nothing new is
-- known of the user.
CREATE FUNCTION begin_erasure(p_app text, p_user text, p_pseudonym text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_digest bytea := sha256(convert_to(p_user, 'UTF8'));
    v_found  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('erase ' || p_app), hashtext(p_user));
    IF is_held(p_app, NULL, p_user, p_user) OR EXISTS (
        SELECT FROM participants p
        JOIN conversations c USING (conversation_id)
        WHERE p.app_id = p_app AND p.user_id = p_user
          AND is_held(p_app, c.conversation_id, c.first_id, c.second_id)) THEN
        RETURN NULL;
    END IF;
    SELECT e.pseudonym INTO v_found
    FROM erasures e
    WHERE e.app_id = p_app AND e.user_digest = v_digest
      AND (e.finished_at IS NULL
           OR NOT EXISTS (SELECT FROM users u WHERE u.app_id = p_app AND u.user_id = p_user)
              AND NOT EXISTS (
                  SELECT FROM participants p WHERE p.app_id = p_app AND p.user_id = p_user))
    ORDER BY e.started_at DESC
    LIMIT 1;
    IF v_found IS NULL THEN
        INSERT INTO erasures (pseudonym, app_id, user_digest)
        VALUES (p_pseudonym, p_app, v_digest)
        RETURNING pseudonym INTO v_found;
    END IF;
    RETURN v_found;
END $$;

-- Erases about `p_limit` of the messages that a user wrote, in one conversation; when none are left in it,
-- the user itself is a pseudonym there, and when no conversation is left, everywhere. Returns whether
-- that was the last step. What others wrote to it stays theirs.
CREATE FUNCTION erase_step(
    p_app       text,
    p_user      text,
    p_pseudonym text,
    p_limit     bigint,
    OUT held boolean,
    OUT done boolean
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    v_conversation uuid;
    v_count        bigint := 0;
BEGIN
    held := false;
    done := false;
    PERFORM 1 FROM erasures e WHERE e.pseudonym = p_pseudonym FOR NO KEY UPDATE;
    SELECT p.conversation_id INTO v_conversation
    FROM participants p
    WHERE p.app_id = p_app AND p.user_id = p_user
    ORDER BY p.conversation_id
    LIMIT 1;
    IF v_conversation IS NULL THEN
        UPDATE calls SET caller_id = p_pseudonym, reason = NULL
        WHERE app_id = p_app AND caller_id = p_user;
        UPDATE calls SET callee_id = p_pseudonym, reason = NULL
        WHERE app_id = p_app AND callee_id = p_user;
        UPDATE bookings SET client_id = p_pseudonym WHERE app_id = p_app AND client_id = p_user;
        UPDATE bookings SET professional_id = p_pseudonym
        WHERE app_id = p_app AND professional_id = p_user;
        UPDATE businesses SET owner_id = p_pseudonym WHERE app_id = p_app AND owner_id = p_user;
        DELETE FROM associations
        WHERE app_id = p_app AND (doctor_id = p_user OR patient_id = p_user);
        UPDATE out_queue SET reader = p_pseudonym
        WHERE reader = p_user AND app_ids[1] = p_app;
        INSERT INTO users (app_id, user_id, role)
        SELECT u.app_id, p_pseudonym, u.role FROM users u
        WHERE u.app_id = p_app AND u.user_id = p_user
        ON CONFLICT DO NOTHING;
        DELETE FROM users WHERE app_id = p_app AND user_id = p_user;
        done := true;
        RETURN;
    END IF;

    -- As appending does; the next commands see what was sent until then.
    PERFORM 1 FROM conversations c WHERE c.conversation_id = v_conversation FOR UPDATE;
    PERFORM 1 FROM participants p
    WHERE p.conversation_id = v_conversation
    ORDER BY p.user_id
    FOR UPDATE;
    IF EXISTS (SELECT FROM conversations c
               WHERE c.conversation_id = v_conversation
                 AND is_held(p_app, c.conversation_id, c.first_id, c.second_id)) THEN
        held := true;
        RETURN;
    END IF;

    WITH own AS MATERIALIZED (
        SELECT m.created_at
        FROM messages m
        WHERE m.conversation_id = v_conversation AND m.sender_id = p_user
          AND m.created_at >= (
              SELECT k.created_at FROM message_marks k
              WHERE k.conversation_id = v_conversation
              ORDER BY k.seq
              LIMIT 1)
        ORDER BY m.created_at
        LIMIT p_limit
    )
    UPDATE /* messages.erase */ messages m
    SET sender_id = p_pseudonym,
        kind = CASE m.kind WHEN 'system' THEN m.kind ELSE 'text' END,
        content = CASE m.kind WHEN 'system' THEN m.content ELSE '[erased]' END,
        file_url = NULL,
        file_name = NULL,
        client_key = NULL
    FROM own o
    WHERE m.conversation_id = v_conversation AND m.created_at = o.created_at;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    UPDATE erasures e SET messages = e.messages + v_count WHERE e.pseudonym = p_pseudonym;
    IF v_count >= p_limit THEN
        RETURN;
    END IF;

    DELETE FROM message_keys k WHERE k.conversation_id = v_conversation AND k.sender_id = p_user;
    UPDATE participants p SET user_id = p_pseudonym
    WHERE p.conversation_id = v_conversation AND p.user_id = p_user;
    UPDATE conversations c
    SET first_id = CASE c.first_id WHEN p_user THEN p_pseudonym ELSE c.first_id END,
        second_id = CASE c.second_id WHEN p_user THEN p_pseudonym ELSE c.second_id END
    WHERE c.conversation_id = v_conversation;
    UPDATE erasures e SET conversations = e.conversations + 1 WHERE e.pseudonym = p_pseudonym;
END $$;

-- Deletes messages of an app that were sent before `p_before`, with what belongs to them: at most about
-- `p_limit`, from the conversation after `p_after` on. Returns how many, and where to go on; nowhere
-- when it came through. What is held stays. The counters go down by what nobody read.
CREATE OR REPLACE FUNCTION expire_messages(
    p_app    text,
    p_before timestamptz,
    p_after  uuid,
    p_limit  bigint,
    OUT deleted bigint,
    OUT go_on   uuid
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    v_conversation uuid;
    v_first        text;
    v_second       text;
    v_count        bigint;
    v_of_first     bigint;
    v_of_second    bigint;
    v_last         timestamptz;
    v_seen         bigint := 0;
BEGIN
    deleted := 0;
    go_on := p_after;
    FOR v_conversation, v_first, v_second IN
        SELECT c.conversation_id, c.first_id, c.second_id
        FROM conversations c
        WHERE c.app_id = p_app AND c.conversation_id > p_after AND c.last_seq > 0
          AND EXISTS (
              SELECT FROM message_marks k
              WHERE k.conversation_id = c.conversation_id AND k.created_at < p_before)
          AND NOT is_held(p_app, c.conversation_id, c.first_id, c.second_id)
        ORDER BY c.conversation_id
        LIMIT p_limit
    LOOP
        -- As receipts do: whoever changes what is unread holds the counters.
        PERFORM 1 FROM participants p
        WHERE p.conversation_id = v_conversation
        ORDER BY p.user_id
        FOR NO KEY UPDATE;

        -- Up to the oldest that stays in this round.
        SELECT max(o.created_at), count(*) INTO v_last, v_count
        FROM (SELECT m.created_at
              FROM messages m
              WHERE m.conversation_id = v_conversation AND m.created_at < p_before
                AND m.created_at >= (
                    SELECT k.created_at FROM message_marks k
                    WHERE k.conversation_id = v_conversation
                    ORDER BY k.seq
                    LIMIT 1)
              ORDER BY m.created_at
              LIMIT p_limit - deleted) AS o;
        IF v_count > 0 THEN
            WITH gone AS (
                DELETE /* messages.expire */ FROM messages m
                WHERE m.conversation_id = v_conversation AND m.created_at <= v_last
                RETURNING m.sender_id, m.read_at
            )
            SELECT count(*) FILTER (WHERE g.sender_id <> v_first AND g.read_at IS NULL),
                   count(*) FILTER (WHERE g.sender_id <> v_second AND g.read_at IS NULL)
            INTO v_of_first, v_of_second
            FROM gone g;
            UPDATE participants p
            SET unread = p.unread - CASE p.user_id WHEN v_first THEN v_of_first ELSE v_of_second END
            WHERE p.conversation_id = v_conversation
              AND CASE p.user_id WHEN v_first THEN v_of_first ELSE v_of_second END > 0;
            DELETE FROM message_keys k
            WHERE k.conversation_id = v_conversation AND k.created_at <= v_last;
            -- The last mark before what is left says where that begins.
            DELETE FROM message_marks k
            WHERE k.conversation_id = v_conversation
              AND k.seq < (SELECT max(o.seq) FROM message_marks o
                           WHERE o.conversation_id = v_conversation AND o.created_at <= v_last);
        END IF;
        deleted := deleted + v_count;
        IF deleted >= p_limit THEN
            -- There may be more in it.
            RETURN;
        END IF;
        go_on := v_conversation;
        v_seen := v_seen + 1;
    END LOOP;
    IF v_seen < p_limit THEN
        go_on := NULL;
    END IF;
END $$;
