//! `cargo xtask --help`.

/// The manual.
pub(crate) const MANUAL: &str = "\
cargo xtask COMMAND [FLAGS]

Runs, tests and checks care-chat. Needs git, rustup and a C compiler; Postgres (14 or newer),
nats-server (2.9), redis-server (7), coturn (4.6), haproxy (2.2) and, for the tests, Node.js (18.19)
and Chromium (120) are found on the machine or, on Debian and Ubuntu, fetched without root as private
copies. Nothing is installed and no service of the system is touched: everything is kept in .dev/
(for root in /var/tmp, since Postgres refuses to run as root), and deleting that folder removes it
all.

RUN
  up            The whole system on http://localhost:3000, with demo users, until Ctrl-C.
    --gateways N      Replicas of realtime-gateway. Default 2.
    --stores M        Replicas of chat-store. Default 1.
    --port P          The public port, on loopback. Default 3000.
    --ephemeral       Fresh data, removed at the end. Without it data is kept between runs.
    --release         Optimised services.
    --no-build        Start what is in the target folder, as it is.
    --no-fsync        Postgres does not wait for the disk. For tests.
    --endpoints FILE  Write what runs where to FILE, as JSON, when everything is ready.
    --system          Install what is missing with apt-get.
  servers       Postgres, NATS, Redis and coturn alone, until Ctrl-C.
    --ephemeral, --no-fsync, --endpoints FILE, --system   As above.
  token         Prints a token for a user of the system that runs, or ran last.
    --user ID         Who. Required.
    --role ROLE       What the user is, for example patient. Required.
    --app APP         Default consult.
    --email E, --name N
    --ttl SECONDS     How long it is good for. Default a day.
    --endpoints FILE  The system that wrote FILE.

TEST
  test [FILTER..]     Every test, on a system of its own: Rust, documentation, two browsers in calls,
                stock clients. The last line is `N passed, N failed`. With a filter the Rust tests
                alone, the filter handed to cargo nextest (or to cargo test where that is not
                installed).
  chromium      Prints the path of the browser that the tests use, fetching one where there is none.
  conformance-server --port P
                The transport alone, for the official Engine.IO and Socket.IO suites.
  chaos [FLAGS..]     Faults: replicas and servers are killed, stopped and cut off while people chat
                and call; then the history of what everybody saw is checked. See docs/FAULTS.md.
    --seed N          Repeats the faults of an earlier run.
    --faults N        At least so many. Default: one of each kind.
    --long            Until Ctrl-C or --faults, round after round.
  bench [FLAGS..]     Measures an optimised system of its own. --gateways and --stores as for up;
                other flags go to the load generator, see `cargo run -p loadtest -- bench --help`.

  loadtest [FLAGS..]  Puts a load on the system that `up` runs, or on a deployment (--url, --pairs):
                sockets, conversations, messages, calls. Says what was lost, doubled, out of order or
                late, and writes target/loadtest/report.html. All flags:
                `cargo run -p loadtest -- run --help`.

CHECK
  audit verify [FLAGS..]
                Looks for rows of the log of accesses that were edited, deleted, swapped or put there,
                in the database that DATABASE_URL names.
    --known HEADS     Heads that were logged earlier, separated by commas: finds also a log that was
                      written anew.
  ci            Everything that must hold before a change is taken: format, layers, query data,
                lints, tests, faults. .ci/run calls it.
  layers        Who may know whom, from manifests and sources.
  ops           What runs the system elsewhere: docker-compose.yml, k8s, metrics, dashboards, alerts.
                Needs no engine and no cluster.
  sqlx          Rewrites the query data in .sqlx after a query or a migration has changed.
    --check           Only says whether that is needed.

ENVIRONMENT
  CHAT_POSTGRES, CHAT_NATS_SERVER, CHAT_REDIS_SERVER, CHAT_TURNSERVER, CHAT_HAPROXY, CHAT_NODE,
  CHAT_CHROMIUM
                The executable to use, before any other that could be found.
  CHAT_COMPOSE, CHAT_KUSTOMIZE, CHAT_PROMTOOL
                Likewise, for the checks of deployment files; else Debian's are fetched.
  CARE_CHAT_DEV The folder to use in place of .dev/.
";
