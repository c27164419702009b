//! Everything an operator can set. `chat-store --help` is the manual.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use service_kit::{AppsArgs, LifecycleArgs, NatsArgs, Secret, TelemetryArgs};

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
}

impl Cli {
    /// Reads the command line and the environment; without a command, it is `serve`.
    #[must_use]
    pub fn read() -> Self {
        let mut args: Vec<_> = std::env::args_os().collect();
        let names_one = args.get(1).is_some_and(|first| {
            matches!(
                first.to_str(),
                Some("serve" | "migrate" | "help" | "-h" | "--help" | "-V" | "--version")
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

    /// How messages are appended.
    #[command(flatten)]
    pub append: AppendArgs,

    /// Most gateway requests answered at a time.
    #[arg(long, env = "STORE_RPC_CONCURRENCY", default_value_t = 1_024)]
    pub rpc_concurrency: usize,

    /// Most transactions whose events wait to be published; more are left to the sweeper.
    #[arg(long, env = "STORE_PUBLISH_QUEUE", default_value_t = 1_024)]
    pub publish_queue: usize,

    /// Where NATS is.
    #[command(flatten)]
    pub nats: NatsArgs,

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

/// Where the database is, and how much of it is used.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Postgres 14 or newer: `postgres://user:password@host:port/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,

    /// Most connections of this replica.
    #[arg(long, env = "STORE_DATABASE_CONNECTIONS", default_value_t = 20)]
    pub database_connections: u32,
}

/// How messages are appended.
#[derive(Debug, Clone, Args)]
pub struct AppendArgs {
    /// Most messages in one transaction.
    #[arg(long, env = "STORE_APPEND_BATCH", default_value_t = 256)]
    pub append_batch: usize,

    /// Milliseconds that a transaction waits for company while others are in flight.
    #[arg(long, env = "STORE_APPEND_LINGER_MS", default_value_t = 2)]
    pub append_linger_ms: u64,

    /// Most append transactions at a time. Fewer than the connections, so that reads get some.
    #[arg(long, env = "STORE_APPEND_IN_FLIGHT", default_value_t = 8)]
    pub append_in_flight: usize,

    /// Most messages waiting or in flight; past it, senders are told to come back.
    #[arg(long, env = "STORE_APPEND_QUEUE", default_value_t = 8_192)]
    pub append_queue: usize,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn secrets_never_print() {
        let cli = Cli::parse_from([
            "chat-store",
            "serve",
            "--apps-file=apps.toml",
            "--service-token=hunter2",
            "--database-url=postgres://u:hunter2@db/chat",
        ]);

        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
