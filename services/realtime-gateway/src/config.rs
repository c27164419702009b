//! Everything an operator can set.

use std::{net::SocketAddr, num::ParseIntError, path::PathBuf, time::Duration};

use clap::{Args, Parser};
use service_kit::{AppsArgs, LifecycleArgs, NatsArgs, Secret, TelemetryArgs, TlsArgs};

use service_kit::limits::Rate;

use crate::{limits::Rates, transport::Network};

/// Holds the sockets of chat clients: Socket.IO over WebSocket and HTTP long-polling.
///
/// Each setting is a flag and an environment variable.
#[derive(Debug, Clone, Parser)]
#[command(name = "realtime-gateway", version)]
pub struct Config {
    /// Address on which clients connect.
    #[arg(long, env = "GATEWAY_LISTEN", default_value = "0.0.0.0:3001")]
    pub listen: SocketAddr,

    /// Address of `/healthz`, `/readyz` and `/metrics`. Not for clients.
    #[arg(long, env = "GATEWAY_ADMIN_LISTEN", default_value = "127.0.0.1:9301")]
    pub admin_listen: SocketAddr,

    /// Name of this replica: letters, digits and `-`. What is random is added where it has to be
    /// unique, so two of the same name do no harm but to those who read logs.
    #[arg(long, env = "GATEWAY_REPLICA", default_value = "g1", value_parser = replica)]
    pub replica: String,

    /// Key of the deployment in hexadecimal, at least 32 bytes, the same for all gateways. Without
    /// one, a session can only be continued at the gateway that began it.
    #[arg(long, env = "CHAT_DEPLOYMENT_KEY", hide_env_values = true)]
    pub deployment_key: Option<Secret>,

    /// Seconds after the last event that a client has within which it may come back to its session
    /// and be sent what it missed. Its token and its conversations are checked anew in any case.
    #[arg(long, env = "GATEWAY_RECOVERY_WINDOW_S", default_value = "86400", value_parser = seconds)]
    pub recovery_window: Duration,

    /// Serves the demo page at `/demo`, with the people and tokens in this file. For development:
    /// everybody who can open the page can use the tokens.
    #[arg(long, env = "GATEWAY_DEMO", value_name = "FILE")]
    pub demo: Option<PathBuf>,

    /// What the connections of clients may cost.
    #[command(flatten)]
    pub connections: ConnectionArgs,

    /// How much clients may ask for.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// The apps.
    #[command(flatten)]
    pub apps: AppsArgs,

    /// The broker.
    #[command(flatten)]
    pub nats: NatsArgs,

    /// What is shown to those who connect.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// The log.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// The end.
    #[command(flatten)]
    pub lifecycle: LifecycleArgs,
}

/// What the connections of clients may cost.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// Seconds between two pings.
    #[arg(long, env = "GATEWAY_PING_INTERVAL_S", default_value = "25", value_parser = seconds)]
    pub ping_interval: Duration,

    /// Seconds that a client has to answer a ping.
    #[arg(long, env = "GATEWAY_PING_TIMEOUT_S", default_value = "20", value_parser = seconds)]
    pub ping_timeout: Duration,

    /// Largest message or request body of a client, in bytes.
    #[arg(long, env = "GATEWAY_MAX_PAYLOAD", default_value = "1000000")]
    pub max_payload: usize,

    /// Most connections at once.
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", default_value = "100000")]
    pub max_connections: usize,

    /// Peers whose `X-Forwarded-For` is believed: addresses or `address/prefix`, by commas.
    #[arg(
        long,
        env = "GATEWAY_TRUSTED_PROXIES",
        value_delimiter = ',',
        default_value = "127.0.0.0/8,::1"
    )]
    pub trusted_proxies: Vec<Network>,

    /// Connections closed per second while draining, so that their clients do not all come back at
    /// once elsewhere. More when it would take over half of the time that a drain has.
    #[arg(long, env = "GATEWAY_DRAIN_PER_SECOND", default_value = "500")]
    pub drain_per_second: u32,
}

/// How much clients may ask for, where the apps file has no `limits` of the app. Rates are per socket
/// unless they say otherwise.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Messages per second.
    #[arg(long, env = "GATEWAY_MESSAGES_PER_SECOND", default_value = "10")]
    pub messages_per_second: u32,

    /// Messages at once.
    #[arg(long, env = "GATEWAY_MESSAGES_BURST", default_value = "30")]
    pub messages_burst: u32,

    /// Typing signals per second.
    #[arg(long, env = "GATEWAY_TYPING_PER_SECOND", default_value = "5")]
    pub typing_per_second: u32,

    /// Typing signals at once.
    #[arg(long, env = "GATEWAY_TYPING_BURST", default_value = "15")]
    pub typing_burst: u32,

    /// Other events per second.
    #[arg(long, env = "GATEWAY_EVENTS_PER_SECOND", default_value = "20")]
    pub events_per_second: u32,

    /// Other events at once.
    #[arg(long, env = "GATEWAY_EVENTS_BURST", default_value = "60")]
    pub events_burst: u32,

    /// Refused events at once before the socket is disconnected; one more is borne every second.
    #[arg(long, env = "GATEWAY_REFUSALS_BURST", default_value = "100")]
    pub refusals_burst: u32,

    /// Messages per second of one user, on all sockets at all gateways.
    #[arg(long, env = "GATEWAY_USER_MESSAGES_PER_SECOND", default_value = "20")]
    pub user_messages_per_second: u32,

    /// Messages of one user at once.
    #[arg(long, env = "GATEWAY_USER_MESSAGES_BURST", default_value = "60")]
    pub user_messages_burst: u32,

    /// Calls per minute that one user begins, on all sockets at all gateways; as many at once.
    #[arg(long, env = "GATEWAY_USER_CALLS_PER_MINUTE", default_value = "10")]
    pub user_calls_per_minute: u32,

    /// Clients per minute that connect from one address, at all gateways; as many at once. Trusted
    /// proxies are not counted. More for those who share one: staff behind a router, say.
    #[arg(long, env = "GATEWAY_HANDSHAKES_PER_MINUTE", default_value = "60")]
    pub handshakes_per_minute: u32,

    /// Sockets of one user at all gateways; with one more, the oldest is disconnected.
    #[arg(long, env = "GATEWAY_SOCKETS_PER_USER", default_value = "8")]
    pub sockets_per_user: usize,
}

impl LimitArgs {
    /// Returns the rates of a socket's events.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates {
            messages: Rate::new(self.messages_per_second, self.messages_burst),
            typing: Rate::new(self.typing_per_second, self.typing_burst),
            others: Rate::new(self.events_per_second, self.events_burst),
            refusals: Rate::new(1, self.refusals_burst),
            user_messages: Rate::new(self.user_messages_per_second, self.user_messages_burst),
            user_calls: per_minute(self.user_calls_per_minute),
        }
    }

    /// Returns how often an address may connect.
    #[must_use]
    pub fn handshakes(&self) -> Rate {
        per_minute(self.handshakes_per_minute)
    }
}

fn per_minute(events: u32) -> Rate {
    Rate::of(events, Duration::from_mins(1), events)
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

/// A replica's name is part of NATS subjects and of session ids.
fn replica(text: &str) -> Result<String, &'static str> {
    let is_name = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name
        .then(|| text.to_owned())
        .ok_or("letters, digits and `-`, at most 63")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn secrets_do_not_print() {
        let config = Config::parse_from([
            "realtime-gateway",
            "--apps-file=apps.toml",
            "--deployment-key=hunter2",
            "--nats-url=nats://u:hunter2@host",
        ]);

        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_replica_has_a_plain_name() {
        assert!(replica("gateway-0").is_ok());
        for bad in ["", "a.b", "a b", "*", ">"] {
            assert!(replica(bad).is_err(), "{bad}");
        }
    }
}
