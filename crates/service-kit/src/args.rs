//! Settings that both services have. Each is a flag and an environment variable; a service flattens
//! these into its own clap struct, so that `--help` is the manual.

use std::{num::ParseIntError, path::PathBuf, str::FromStr, time::Duration};

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

    /// Collector of traces, which takes OTLP over HTTP: `http://host:4318`. Empty for none.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = "",
        hide_default_value = true
    )]
    pub otlp_endpoint: OtlpEndpoint,

    /// Which share of what clients ask for starts a trace that is exported, from 0 to 1. Traces that
    /// another process started are exported if that says so.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "0.01", value_parser = share)]
    pub trace_sample: f64,
}

/// Where traces go; `None` for nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtlpEndpoint(pub(crate) Option<String>);

/// What is no address of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected http://host:port or https://host:port; credentials go into OTEL_EXPORTER_OTLP_HEADERS"
)]
pub struct OtlpEndpointError;

impl FromStr for OtlpEndpoint {
    type Err = OtlpEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let url: http::Uri = text.parse().map_err(|_| OtlpEndpointError)?;
        match (url.scheme_str(), url.authority()) {
            (Some("http" | "https"), Some(host)) if !host.as_str().contains('@') => {
                Ok(Self(Some(text.trim_end_matches('/').to_owned())))
            }
            _ => Err(OtlpEndpointError),
        }
    }
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

fn share(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1"),
    }
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
    fn traces_go_to_a_collector_or_nowhere() {
        let endpoint = |text: &str| text.parse().map(|OtlpEndpoint(url)| url);

        assert_eq!(endpoint(""), Ok(None));
        let url = "http://collector:4318".to_owned();
        assert_eq!(endpoint("http://collector:4318/"), Ok(Some(url)));
        for bad in [
            "collector:4318",
            "grpc://collector",
            "http://u:hunter2@collector",
            "http://",
        ] {
            assert_eq!(endpoint(bad), Err(OtlpEndpointError), "{bad}");
        }
        assert!(share("0.5").is_ok() && share("1.1").is_err() && share("NaN").is_err());
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
