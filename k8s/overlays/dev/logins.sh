#!/bin/sh
# Makes the logins of the services, when the database is made: what each may do, migrations grant to the
# roles that they are members of. For the images of Postgres, which run it once, as the owner.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set store="$(cat /run/secrets/store.password)" \
    --set custodian="$(cat /run/secrets/custodian.password)" <<'END'
CREATE ROLE chat_service NOLOGIN;
CREATE ROLE chat_custodian NOLOGIN;
CREATE ROLE store LOGIN PASSWORD :'store' IN ROLE chat_service;
CREATE ROLE custodian LOGIN PASSWORD :'custodian' IN ROLE chat_custodian;
END
