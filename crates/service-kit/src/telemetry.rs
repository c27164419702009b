//! Logs and metrics of a process. What is logged, and how, is in `docs/LOGGING.md`.

use std::{io::Write as _, panic, time::Duration};

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::format::JsonFields};

use crate::{TelemetryArgs, json_log::JsonLine};

/// How often histograms are folded, so that they do not grow between two scrapes.
pub(crate) const UPKEEP: Duration = Duration::from_secs(5);

/// Bounds of every histogram whose name ends in `_seconds`.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Bounds of every histogram whose name ends in `_size`: a number of things.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Installs the subscriber, the panic hook and the metrics recorder of this process.
pub(crate) fn install(args: &TelemetryArgs) -> anyhow::Result<PrometheusHandle> {
    let filter = EnvFilter::try_new(&args.log_filter).with_context(|| {
        format!(
            "RUST_LOG {:?} is no log filter; set it to a level such as \"info\"",
            args.log_filter
        )
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    match args.log_format {
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
        LogFormat::Json => subscriber
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine)
            .try_init(),
    }
    .map_err(|error| anyhow::anyhow!("installing the log: {error}"))?;
    log_panics();

    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), SIZES)?
        .install_recorder()
        .context("installing the metrics recorder")
}

/// Logs where a panic happened, and not what it says: the text of a failed slice quotes the data.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(panic.location = location, "a task panicked");
    }));
}

/// Writes out what is still buffered.
pub(crate) fn flush() {
    // Nobody is left to tell when standard output is gone.
    drop(std::io::stdout().flush());
}
