//! Everything an operator can set. `chat-store --help` is the manual.

use std::{net::SocketAddr, path::PathBuf};

use crate::ports_audit::Head;
use clap::{Args, Parser, Subcommand};
use service_kit::{AppsArgs, LifecycleArgs, NatsArgs, Secret, TelemetryArgs, TlsArgs};

/// Everything durable of the chat.
#[derive(Debug, Parser)]
#[command(name = "chat-store", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve gateways, clients and other services (the default).
    Serve(Box<Config>),
    /// Bring the database's schema up to date, and end.
    Migrate(MigrateConfig),
    /// Look for changes in the log of accesses, and end: with 1 if there are any.
    VerifyAudit(VerifyConfig),
}

impl Cli {
    /// Reads the command line and the environment; without a command, it is `serve`.
    #[must_use]
    pub fn read() -> Self {
        let mut args: Vec<_> = std::env::args_os().collect();
        let names_one = args.get(1).is_some_and(|first| {
            matches!(
                first.to_str(),
                Some(
                    "serve"
                        | "migrate"
                        | "verify-audit"
                        | "help"
                        | "-h"
                        | "--help"
                        | "-V"
                        | "--version"
                )
            )
        });
        if !names_one {
            args.insert(args.len().min(1), "serve".into());
        }
        Self::parse_from(args)
    }
}

/// The settings of `chat-store migrate`.
#[derive(Debug, Args)]
pub struct MigrateConfig {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// What is logged.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// The settings of `chat-store verify-audit`.
#[derive(Debug, Args)]
pub struct VerifyConfig {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Heads of chains that were kept elsewhere, separated by commas: `app:place:hash`, as stores log
    /// them and certificates have them. Without, a chain that was written anew as a whole is not found.
    #[arg(long, value_delimiter = ',')]
    pub known: Vec<Head>,

    /// The heads that `drop_accesses` returned for the rows that were dropped last, separated by commas:
    /// the chains begin behind them.
    #[arg(long, value_delimiter = ',')]
    pub dropped: Vec<Head>,
}

/// The settings of `chat-store serve`.
#[derive(Debug, Args)]
pub struct Config {
    /// Address of the REST for clients.
    #[arg(long, env = "STORE_LISTEN", default_value = "127.0.0.1:3100")]
    pub listen: SocketAddr,

    /// Address of the HTTP for other services. Not for the internet.
    #[arg(long, env = "STORE_INTERNAL_LISTEN", default_value = "127.0.0.1:3101")]
    pub internal_listen: SocketAddr,

    /// Address of `/healthz`, `/readyz` and `/metrics`. Not for the internet.
    #[arg(long, env = "STORE_ADMIN_LISTEN", default_value = "127.0.0.1:3102")]
    pub admin_listen: SocketAddr,

    /// The bearer token of other services on the internal address.
    #[arg(long, env = "CHAT_SERVICE_TOKEN", hide_env_values = true)]
    pub service_token: Secret,

    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// The same database, for what deletes: expiry, holds and erasure, whose login is a member of
    /// `chat_custodian`. Without, the login of `DATABASE_URL` has to be the owner of the schema.
    #[arg(long, env = "STORE_CUSTODIAN_DATABASE_URL", hide_env_values = true)]
    pub custodian_database_url: Option<Secret>,

    /// How messages are appended.
    #[command(flatten)]
    pub append: AppendArgs,

    /// How browsers in a call reach each other.
    #[command(flatten)]
    pub ice: IceArgs,

    /// Most gateway requests answered at a time.
    #[arg(long, env = "STORE_RPC_CONCURRENCY", default_value_t = 1_024)]
    pub rpc_concurrency: usize,

    /// Most transactions whose events wait to be published; more are left to the sweeper.
    #[arg(long, env = "STORE_PUBLISH_QUEUE", default_value_t = 1_024)]
    pub publish_queue: usize,

    /// Where NATS is.
    #[command(flatten)]
    pub nats: NatsArgs,

    /// How much a user may ask for.
    #[command(flatten)]
    pub requests: RequestArgs,

    /// What is kept for other services.
    #[command(flatten)]
    pub out: OutArgs,

    /// What other services may write.
    #[command(flatten)]
    pub inbound: InArgs,

    /// Bytes of the stream `CHAT_JOURNAL`, if this service has to make it: what gateways noted of messages
    /// in the last day, some 45 bytes a message and socket. The oldest go first.
    #[arg(
        long,
        env = "STORE_JOURNAL_MAX_BYTES",
        default_value_t = 256 * 1024 * 1024,
        value_parser = clap::value_parser!(i64).range(1_048_576..)
    )]
    pub journal_max_bytes: i64,

    /// Where files are kept that users attach.
    #[command(flatten)]
    pub files: FilesArgs,

    /// Where the state of calls and presence is.
    #[command(flatten)]
    pub redis: RedisArgs,

    /// What is shown to those who connect.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// Which apps are served.
    #[command(flatten)]
    pub apps: AppsArgs,

    /// What is logged.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// How the process ends.
    #[command(flatten)]
    pub lifecycle: LifecycleArgs,
}

/// Where the state of calls and presence is.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// Redis 7 or newer: `redis://[user:password@]host:port`, or `rediss://…` for TLS. Without it chat
    /// goes on, calls are unavailable and everybody is offline.
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    pub redis_url: Secret,

    /// PEM file with the authorities that vouch for a server of `rediss://`, in place of the public
    /// ones.
    #[arg(long, env = "REDIS_CA_FILE")]
    pub redis_ca_file: Option<PathBuf>,
}

/// Where the database is, and how much of it is used.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Postgres 14 or newer: `postgres://user:password@host:port/database`. To serve, its login should be a
    /// member of `chat_service`; to migrate, the owner of the schema. For TLS, it ends in
    /// `?sslmode=verify-full&sslrootcert=FILE`, the file being PEM with the authorities to believe.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,

    /// Most connections of this replica, those that append among them; there is one beside those in
    /// any case.
    #[arg(long, env = "STORE_DATABASE_CONNECTIONS", default_value_t = 20)]
    pub database_connections: u32,
}

/// How messages are appended.
#[derive(Debug, Clone, Args)]
pub struct AppendArgs {
    /// Most messages in one transaction.
    #[arg(long, env = "STORE_APPEND_BATCH", default_value_t = 256)]
    pub append_batch: usize,

    /// Milliseconds between two transactions that are not full: the later one waits for company.
    #[arg(long, env = "STORE_APPEND_LINGER_MS", default_value_t = 1)]
    pub append_linger_ms: u64,

    /// Most append transactions at a time, each on a connection that does nothing else. Few make large
    /// batches, which cost less and keep latency even; a database of many processors takes more.
    #[arg(long, env = "STORE_APPEND_IN_FLIGHT", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub append_in_flight: u16,

    /// Most messages waiting or in flight; past it, senders are told to come back.
    #[arg(long, env = "STORE_APPEND_QUEUE", default_value_t = 8_192)]
    pub append_queue: usize,
}

/// How much REST a user may ask of this replica, where the apps file has no `limits` of the app.
#[derive(Debug, Clone, Args)]
pub struct RequestArgs {
    /// Requests per second of one user.
    #[arg(long, env = "STORE_REQUESTS_PER_SECOND", default_value_t = 20)]
    pub requests_per_second: u32,

    /// Requests of one user at once.
    #[arg(long, env = "STORE_REQUESTS_BURST", default_value_t = 60)]
    pub requests_burst: u32,
}

/// What is kept for other services in the stream `CHAT_OUT`, if this service has to make it.
#[derive(Debug, Clone, Args)]
pub struct OutArgs {
    /// Hours for which events are kept.
    #[arg(
        long,
        env = "STORE_OUT_MAX_HOURS",
        default_value_t = 72,
        value_parser = clap::value_parser!(u64).range(1..=8_760)
    )]
    pub out_max_hours: u64,

    /// Bytes of events that are kept; the oldest go first.
    #[arg(
        long,
        env = "STORE_OUT_MAX_BYTES",
        default_value_t = 512 * 1024 * 1024,
        value_parser = clap::value_parser!(i64).range(1_048_576..)
    )]
    pub out_max_bytes: i64,
}

/// What other services may write into the stream `CHAT_IN`.
#[derive(Debug, Clone, Args)]
pub struct InArgs {
    /// Bytes that may wait there, if this service has to make it; more are refused.
    #[arg(
        long,
        env = "STORE_IN_MAX_BYTES",
        default_value_t = 128 * 1024 * 1024,
        value_parser = clap::value_parser!(i64).range(1_048_576..)
    )]
    pub in_max_bytes: i64,

    /// Most entries that this replica takes at a time.
    #[arg(
        long,
        env = "STORE_IN_FLIGHT",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1_024)
    )]
    pub in_flight: u16,
}

/// Where files are kept that users attach: in a bucket, or for development in a folder. Without
/// either there are no attachments.
#[derive(Debug, Clone, Args)]
pub struct FilesArgs {
    /// What clients reach the REST at, as it is in the URLs of files.
    #[arg(long, env = "CHAT_PUBLIC_URL", default_value = "http://localhost:3000")]
    pub public_url: String,

    /// A folder that all replicas share.
    #[arg(long, env = "STORE_FILES_FOLDER", conflicts_with = "files_bucket")]
    pub files_folder: Option<PathBuf>,

    /// A bucket of S3. Whoever may write into it uploads there; browsers need its CORS.
    #[arg(
        long,
        env = "STORE_FILES_BUCKET",
        requires = "files_key_id",
        requires = "files_secret"
    )]
    pub files_bucket: Option<String>,

    /// The region of the bucket.
    #[arg(long, env = "STORE_FILES_REGION", default_value = "us-east-1")]
    pub files_region: String,

    /// Where the bucket is, unless at Amazon: `https://host[:port]`. Clients reach it there, too.
    #[arg(long, env = "STORE_FILES_ENDPOINT")]
    pub files_endpoint: Option<String>,

    /// The id of the key that reads and writes the bucket.
    #[arg(long, env = "STORE_FILES_KEY_ID")]
    pub files_key_id: Option<String>,

    /// That key.
    #[arg(long, env = "STORE_FILES_SECRET", hide_env_values = true)]
    pub files_secret: Option<Secret>,
}

/// How browsers in a call reach each other. Without any of these, only within one network.
#[derive(Debug, Clone, Args)]
pub struct IceArgs {
    /// Servers that tell browsers their outside address, separated by commas: `stun:host:port`.
    #[arg(long, env = "STUN_URLS", value_delimiter = ',', value_parser = stun_url)]
    pub stun_urls: Vec<String>,

    /// Ways to the relay, separated by commas: `turn:host:port?transport=udp`, `turns:host:port`.
    #[arg(
        long,
        env = "TURN_URLS",
        value_delimiter = ',',
        value_parser = turn_url,
        requires = "turn_secret"
    )]
    pub turn_urls: Vec<String>,

    /// What the relay knows as `static-auth-secret`; see deploy/coturn/turnserver.conf.
    #[arg(
        long,
        env = "TURN_SECRET",
        hide_env_values = true,
        requires = "turn_urls"
    )]
    pub turn_secret: Option<Secret>,

    /// Seconds for which the relay takes the credentials of a user.
    #[arg(
        long,
        env = "TURN_LIFETIME_S",
        default_value_t = 3_600,
        value_parser = clap::value_parser!(u64).range(60..=86_400)
    )]
    pub turn_lifetime_s: u64,
}

fn stun_url(text: &str) -> Result<String, &'static str> {
    ice_url(text, &["stun:", "stuns:"]).ok_or("a STUN URL is stun:host[:port] or stuns:host[:port]")
}

fn turn_url(text: &str) -> Result<String, &'static str> {
    ice_url(text, &["turn:", "turns:"])
        .ok_or("a TURN URL is turn:host[:port][?transport=udp|tcp] or turns:host[:port]")
}

/// Browsers check the rest; one wrong URL in a list makes them refuse all of it.
fn ice_url(text: &str, schemes: &[&str]) -> Option<String> {
    let host = schemes
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))?;
    let is_one = !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace);
    is_one.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Cli::command().debug_assert();
    }

    const REQUIRED: [&str; 5] = [
        "chat-store",
        "serve",
        "--apps-file=apps.toml",
        "--service-token=hunter2",
        "--database-url=postgres://u:hunter2@db/chat",
    ];

    fn parse(more: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(REQUIRED.iter().chain(more))
    }

    #[test]
    fn a_relay_has_urls_and_a_secret_or_is_not_there() {
        let urls = "--turn-urls=turn:relay.example:3478?transport=udp,turns:relay.example";

        assert!(parse(&[]).is_ok());
        assert!(parse(&[urls, "--turn-secret=hunter2"]).is_ok());
        assert!(parse(&[urls]).is_err());
        assert!(parse(&["--turn-secret=hunter2"]).is_err());
    }

    #[test]
    fn urls_that_a_browser_would_refuse_end_the_start() {
        for flag in [
            "--stun-urls=turn:relay.example",
            "--stun-urls=stun://relay.example",
            "--stun-urls=stun:",
            "--stun-urls=stun:a, stun:b",
            "--turn-urls=relay.example",
            "--turn-lifetime-s=0",
        ] {
            let relay = ["--turn-urls=turn:a", "--turn-secret=s"];

            assert!(parse(&[&relay[..], &[flag]].concat()).is_err(), "{flag}");
        }
    }

    #[test]
    fn secrets_never_print() {
        let cli = parse(&[
            "--turn-urls=turn:relay.example",
            "--turn-secret=hunter2",
            "--redis-url=redis://:hunter2@redis",
        ])
        .unwrap();

        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
