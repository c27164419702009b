//! Settings that both services have. Each is a flag and an environment variable; a service flattens
//! these into its own clap struct, so that `--help` is the manual.

use std::{num::ParseIntError, path::PathBuf, time::Duration};

use clap::Args;

use crate::{Secret, telemetry::LogFormat};

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// Form of the log on standard output.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: a level, or `target=level` pairs separated by commas.
    #[arg(long, env = "RUST_LOG", default_value = "info,async_nats=warn")]
    pub log_filter: String,
}

/// How the process ends, for [`crate::Lifecycle::drain_within`], and how it is asked whether it is
/// there.
#[derive(Debug, Clone, Args)]
pub struct LifecycleArgs {
    /// Seconds from SIGTERM until work that is still in flight is dropped.
    #[arg(long, env = "DRAIN_TIMEOUT_S", default_value = "90", value_parser = seconds)]
    pub drain_timeout: Duration,

    /// Asks the instance that runs with the same settings whether it is ready, and ends: the health
    /// check of a container.
    #[arg(long)]
    pub probe: bool,
}

/// Where the NATS servers are, and how this service and they prove who they are.
#[derive(Debug, Clone, Default, Args)]
pub struct NatsArgs {
    /// NATS servers, separated by commas: `nats://[user:password@]host:port`.
    #[arg(
        long,
        env = "NATS_URL",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = "nats://127.0.0.1:4222"
    )]
    pub nats_url: Vec<Secret>,

    /// Seed of the nkey by which the servers know this service, in place of a password.
    #[arg(long, env = "NATS_NKEY_SEED", hide_env_values = true)]
    pub nats_nkey_seed: Option<Secret>,

    /// PEM file with the authorities that vouch for the servers. With it, nothing goes to NATS but by
    /// TLS, to a server whose certificate has the name that is in the address.
    #[arg(long, env = "NATS_CA_FILE")]
    pub nats_ca_file: Option<PathBuf>,

    /// PEM file with a certificate of this service, where the servers ask for one.
    #[arg(
        long,
        env = "NATS_CERT_FILE",
        requires = "nats_key_file",
        requires = "nats_ca_file"
    )]
    pub nats_cert_file: Option<PathBuf>,

    /// PEM file with the private key of that certificate.
    #[arg(long, env = "NATS_KEY_FILE", requires = "nats_cert_file")]
    pub nats_key_file: Option<PathBuf>,
}

impl NatsArgs {
    /// Returns each address. A secret from a file may hold several.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.nats_url
            .iter()
            .flat_map(|urls| urls.expose().split(',').map(str::trim))
    }
}

/// Which apps are served.
#[derive(Debug, Clone, Args)]
pub struct AppsArgs {
    /// TOML file that lists the apps, their token keys and policies; see deploy/dev/apps.toml.
    #[arg(long, env = "CHAT_APPS_FILE")]
    pub apps_file: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Config {
        #[command(flatten)]
        telemetry: TelemetryArgs,
        #[command(flatten)]
        lifecycle: LifecycleArgs,
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        apps: AppsArgs,
    }

    #[test]
    fn flags_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn defaults_need_nothing_but_the_apps() {
        let config = Config::parse_from(["service", "--apps-file", "apps.toml"]);

        assert_eq!(config.lifecycle.drain_timeout, crate::DEFAULT_DRAIN_TIMEOUT);
        assert_eq!(config.telemetry.log_format, LogFormat::Text);
    }

    #[test]
    fn one_secret_may_hold_several_addresses() {
        let nats = NatsArgs {
            nats_url: vec![Secret::from("nats://a:4222, nats://b:4222".to_owned())],
            ..NatsArgs::default()
        };

        assert_eq!(
            nats.urls().collect::<Vec<_>>(),
            ["nats://a:4222", "nats://b:4222"]
        );
    }

    #[test]
    fn passwords_in_urls_do_not_print() {
        let config = Config::parse_from([
            "service",
            "--apps-file=apps.toml",
            "--nats-url=nats://u:hunter2@a:4222,nats://b:4222",
        ]);

        assert_eq!(config.nats.nats_url.len(), 2);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
