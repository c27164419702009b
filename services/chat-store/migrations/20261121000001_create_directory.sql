-- What other services tell about their users, bookings, businesses and associations.
-- Everything is keyed by app. `version` is the publisher's: the last one wins.

CREATE TABLE users (
    app_id     text        NOT NULL,
    user_id    text        NOT NULL,
    role       text        NOT NULL,
    name       text,
    email      text,
    avatar_url text,
    version    bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (app_id, user_id)
);
COMMENT ON COLUMN users.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN users.user_id IS 'The user''s id in the service that owns users; immutable.';
COMMENT ON COLUMN users.role IS 'As tokens spell it: consultant, patient, doctor, admin, client, business.';
COMMENT ON COLUMN users.name IS 'Shown to others; personal.';
COMMENT ON COLUMN users.email IS 'Personal.';
COMMENT ON COLUMN users.avatar_url IS 'Shown to others.';
COMMENT ON COLUMN users.version IS 'The publisher''s version; NULL for a user known from its token alone.';
COMMENT ON COLUMN users.updated_at IS 'Last write, for people who look.';

CREATE TABLE bookings (
    app_id          text        NOT NULL,
    booking_id      text        NOT NULL,
    professional_id text        NOT NULL,
    client_id       text        NOT NULL,
    starts_at       timestamptz,
    ends_at         timestamptz,
    status          text,
    version         bigint,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT bookings_pkey PRIMARY KEY (app_id, booking_id)
);
COMMENT ON COLUMN bookings.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN bookings.booking_id IS 'The id in the service that owns bookings; immutable.';
COMMENT ON COLUMN bookings.professional_id IS 'The consultant, or the business in apps that book businesses.';
COMMENT ON COLUMN bookings.client_id IS 'Who booked.';
COMMENT ON COLUMN bookings.starts_at IS 'Begin of the appointment; NULL until planned.';
COMMENT ON COLUMN bookings.ends_at IS 'Its end, if known.';
COMMENT ON COLUMN bookings.status IS 'In the words of its owner.';
COMMENT ON COLUMN bookings.version IS 'The publisher''s version.';
COMMENT ON COLUMN bookings.updated_at IS 'Last write, for people who look.';

CREATE TABLE businesses (
    app_id      text        NOT NULL,
    business_id text        NOT NULL,
    owner_id    text        NOT NULL,
    name        text        NOT NULL,
    version     bigint,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT businesses_pkey PRIMARY KEY (app_id, business_id)
);
COMMENT ON COLUMN businesses.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN businesses.business_id IS 'The id in the service that owns businesses; immutable.';
COMMENT ON COLUMN businesses.owner_id IS 'The user who chats for it.';
COMMENT ON COLUMN businesses.name IS 'Shown to clients.';
COMMENT ON COLUMN businesses.version IS 'The publisher''s version.';
COMMENT ON COLUMN businesses.updated_at IS 'Last write, for people who look.';

CREATE TABLE associations (
    app_id     text        NOT NULL,
    doctor_id  text        NOT NULL,
    patient_id text        NOT NULL,
    version    bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT associations_pkey PRIMARY KEY (app_id, doctor_id, patient_id)
);
COMMENT ON TABLE associations IS 'Who may write to whom where there are no bookings.';
COMMENT ON COLUMN associations.app_id IS 'The tenant; immutable.';
COMMENT ON COLUMN associations.doctor_id IS 'One side; immutable.';
COMMENT ON COLUMN associations.patient_id IS 'The other; immutable.';
COMMENT ON COLUMN associations.version IS 'The publisher''s version.';
COMMENT ON COLUMN associations.updated_at IS 'Last write, for people who look.';
