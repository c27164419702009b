//! What both services share around their own code: start-up, configuration, telemetry, lifecycle,
//! health, apps and their tokens, and the edges to HTTP and NATS.
//!
//! A service's `main` parses its settings and hands one function to [`run`]:
//!
//! ```no_run
//! # use std::{net::SocketAddr, process::ExitCode};
//! # use clap::Parser;
//! use service_kit::{Service, TelemetryArgs, TlsArgs};
//!
//! #[derive(Parser)]
//! struct Config {
//!     #[arg(long, env = "STORE_ADMIN_LISTEN", default_value = "127.0.0.1:9100")]
//!     admin_listen: SocketAddr,
//!     #[command(flatten)]
//!     telemetry: TelemetryArgs,
//!     #[command(flatten)]
//!     tls: TlsArgs,
//! }
//!
//! fn main() -> ExitCode {
//!     let config = Config::parse();
//!     service_kit::run("chat-store", &config.telemetry, config.admin_listen, &config.tls, start)
//! }
//!
//! /// Wires everything, spawns what runs for long, and returns.
//! async fn start(service: Service) -> anyhow::Result<()> {
//!     let soft = service.lifecycle.soft();
//!     service.lifecycle.spawn("sweeper", async move {
//!         soft.cancelled().await;
//!     });
//!     Ok(())
//! }
//! ```
//!
//! What is deliberately absent: anything that knows a message, a conversation or SQL. Metric names
//! live in the service that counts.

mod admin;
pub mod apps;
mod args;
pub mod auth;
mod clock;
mod health;
pub mod http;
mod json_log;
mod lifecycle;
pub mod limits;
pub mod nats;
mod probe;
mod run;
mod secret;
mod serve;
mod telemetry;
mod tls;
pub mod trace;
mod unread;

pub use args::{AppsArgs, LifecycleArgs, NatsArgs, OtlpEndpoint, OtlpEndpointError, TelemetryArgs};
pub use clock::now;
pub use health::{DependencyHealth, Health};
pub use lifecycle::{DEFAULT_DRAIN_TIMEOUT, Lifecycle};
pub use probe::probe;
pub use run::{BindError, Service, bind, run};
pub use secret::{Secret, SecretError};
pub use serve::serve;
pub use telemetry::LogFormat;
pub use tls::{TlsArgs, TlsError};
pub use trace::{Span, SpanKind, TraceId, TraceParent};

#[doc(hidden)]
pub use tracing as __tracing;
