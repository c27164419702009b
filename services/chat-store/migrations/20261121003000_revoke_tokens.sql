-- Tokens that are good no more before their time. Every replica reads what is new by its number.

CREATE SEQUENCE revocation_numbers;

CREATE TABLE revocations (
    number       bigint      NOT NULL UNIQUE,
    app_id       text        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('user', 'session', 'token')),
    name         text        NOT NULL,
    issued_until timestamptz CHECK ((issued_until IS NOT NULL) = (kind = 'user')),
    expires_at   timestamptz,
    PRIMARY KEY (app_id, kind, name)
);
COMMENT ON COLUMN revocations.number IS 'Grows with each commit: whoever has read one has read all before.';
COMMENT ON COLUMN revocations.name IS 'A user, or what the issuer calls a sign-in (sid) or a token (jti).';
COMMENT ON COLUMN revocations.issued_until IS 'Of a user: tokens issued later are good.';
COMMENT ON COLUMN revocations.expires_at IS 'When the last of the tokens has ended by itself; NULL is never.';

-- Revokes once more what was revoked before: later, and for longer. One at a time, so that numbers are
-- committed in their order.
CREATE FUNCTION revoke_tokens(
    p_app          text,
    p_kind         text,
    p_name         text,
    p_issued_until timestamptz,
    p_expires_at   timestamptz
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    LOCK TABLE revocations IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO revocations AS r (number, app_id, kind, name, issued_until, expires_at)
    VALUES (nextval('revocation_numbers'), p_app, p_kind, p_name, p_issued_until, p_expires_at)
    ON CONFLICT ON CONSTRAINT revocations_pkey DO UPDATE
    SET number = EXCLUDED.number,
        issued_until = greatest(r.issued_until, EXCLUDED.issued_until),
        expires_at = CASE
            WHEN r.expires_at IS NULL OR EXCLUDED.expires_at IS NULL THEN NULL
            ELSE greatest(r.expires_at, EXCLUDED.expires_at)
        END;
END $$;
