#!/bin/sh
# Makes the secrets of a deployment by docker-compose.yml, in deploy/secrets, each once: what is there
# is kept, so running it again does no harm. Nothing in the repository holds a default.
#
#   deploy/make-secrets.sh [PUBLIC_IP]
#
# PUBLIC_IP is the address at which browsers reach this machine. Without it the relay serves calls
# inside of this machine alone.
set -eu
umask 077
deploy=$(cd "$(dirname "$0")" && pwd)
cd "$deploy/secrets"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Writes standard input to a file unless it is there. Containers run as other users than the one who
# makes the file, so it is readable; the folder is not.
keep() {
    if [ -e "$1" ]; then cat >/dev/null; return; fi
    cat >"$1.new"
    chmod 0444 "$1.new"
    mv "$1.new" "$1"
    echo "made deploy/secrets/$1"
}

chmod 0700 .
for name in app-consult.secret deployment.key service.token turn.secret \
    postgres.password store.password custodian.password \
    nats-admin.password redis.password redis-store.password grafana.password; do
    random | keep "$name"
done

# The seed of each service's nkey, and its public half.
for user in gateway store internal; do
    [ -e "nats-$user.seed" ] || sh ../nats/nkey.sh | {
        read -r seed
        read -r public
        echo "$public" | keep "nats-$user.nkey"
        echo "$seed" | keep "nats-$user.seed"
    }
done

echo "postgres://chat:$(cat postgres.password)@postgres:5432/chat" | keep database-owner.url
echo "postgres://store:$(cat store.password)@postgres:5432/chat" | keep database.url
echo "postgres://custodian:$(cat custodian.password)@postgres:5432/chat" | keep database-custodian.url
echo "nats://nats:4222" | keep nats.url
echo "redis://store:$(cat redis-store.password)@redis:6379" | keep redis.url
sed -e "s/@admin@/$(cat nats-admin.password)/" -e "s/@gateway@/$(cat nats-gateway.nkey)/" \
    -e "s/@store@/$(cat nats-store.nkey)/" -e "s/@internal@/$(cat nats-internal.nkey)/" \
    ../nats/permissions.conf | keep nats.conf
{
    echo "requirepass $(cat redis.password)"
    echo "user store on >$(cat redis-store.password) $(cat ../redis/store.acl)"
} | keep redis.conf

# One app, whose tokens its own backend signs with app-consult.secret. See deploy/dev/apps.toml.
keep apps.toml <<'END'
[apps.consult]
dialect = "consult"

[[apps.consult.keys]]
algorithm = "HS256"
secret_file = "app-consult.secret"
END

# coturn takes its secret from nowhere but its settings.
{
    cat ../coturn/turnserver.conf
    echo
    echo "listening-port=3478"
    echo "min-port=49160"
    echo "max-port=49200"
    echo "static-auth-secret=$(cat turn.secret)"
    if [ $# -gt 0 ]; then
        echo "external-ip=$1"
        echo "allowed-peer-ip=$1"
    fi
} | keep turnserver.conf
