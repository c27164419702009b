//! From one socket through the commit to the other side's socket, at a fixed rate.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::time::{MissedTickBehavior, interval_at, timeout_at};

use crate::{
    client::Client,
    endpoints::{Endpoints, Gateway},
    report::Report,
    users::Pair,
    yardstick,
};

/// Marks the sending time in the content, in nanoseconds since the run began.
const MARK: &str = "\"content\":\"t:";
/// How long caches and plans get to be filled; what is sent meanwhile is not counted.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long stragglers are waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Sends `rate` messages a second over all `pairs` together; sender and receiver are on two gateways.
/// What the disk takes is measured in the folder `disk`, which should be on that of Postgres.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
    rate: u32,
    seconds: u64,
    disk: &Path,
) -> anyhow::Result<()> {
    let Run { latency, n_sent } = run(endpoints, pairs, rate, seconds).await?;
    let sync = yardstick::sync(disk)?;
    report.add(
        &format!("socket -> commit -> other gateway's socket at {rate} msg/s, fsync on"),
        format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            quantile(&latency, 0.5),
            quantile(&latency, 0.99)
        ),
        format!(
            "one write of 8 KiB with fdatasync alone: p50 {:.1} ms, p99 {:.1} ms; budget p50 5 ms, p99 \
             25 ms; {} of {n_sent} arrived",
            quantile(&sync, 0.5),
            quantile(&sync, 0.99),
            latency.len()
        ),
    );
    Ok(())
}

/// What was measured.
pub(crate) struct Run {
    /// Of the messages that arrived, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// How many were sent, those of the warm-up left out.
    pub(crate) n_sent: usize,
}

/// Sends and receives, and reports nothing.
pub(crate) async fn run(
    endpoints: &Endpoints,
    pairs: &[Pair],
    rate: u32,
    seconds: u64,
) -> anyhow::Result<Run> {
    let epoch = Instant::now();
    let start = tokio::time::Instant::now() + Duration::from_secs(3);
    let period = Duration::from_secs(1) * u32::try_from(pairs.len())? / rate;
    let warm = start + WARM_UP;
    let end = warm + Duration::from_secs(seconds);
    let counted = nanos(epoch, warm);

    let mut runs = Vec::new();
    for (n, pair) in pairs.iter().enumerate() {
        let [near, far] = sides(&endpoints.gateways, n)?;
        let sender = Client::connect(near, &pair.patient.token).await?;
        let receiver = Client::connect(far, &pair.consultant.token).await?;
        let first = start + period * u32::try_from(n)? / u32::try_from(pairs.len())?;
        let conversation = pair.conversation.clone();
        let sent = tokio::spawn(send(sender, conversation, epoch, first, period, end));
        let arrivals = tokio::spawn(receive(receiver, epoch, counted, end + GRACE));
        runs.push((sent, arrivals));
    }

    let mut latency = Histogram::<u64>::new(3)?;
    let mut n_sent = 0_usize;
    for (sent, arrivals) in runs {
        n_sent += sent
            .await??
            .into_iter()
            .filter(|due| counted <= *due)
            .count();
        latency.add(arrivals.await??)?;
    }
    Ok(Run { latency, n_sent })
}

/// Returns the gateways of the two ends of the `n`th pair: two, where there are two.
pub(crate) fn sides(gateways: &[Gateway], n: usize) -> anyhow::Result<[&str; 2]> {
    let pick = |n: usize| {
        gateways
            .get(n % gateways.len().max(1))
            .map(|gateway| gateway.url.as_str())
    };
    Ok([
        pick(n).context("no gateway is running")?,
        pick(n + 1).context("no gateway is running")?,
    ])
}

async fn send(
    mut client: Client,
    conversation: String,
    epoch: Instant,
    first: tokio::time::Instant,
    period: Duration,
    end: tokio::time::Instant,
) -> anyhow::Result<Vec<u128>> {
    let mut ticks = interval_at(first, period);
    // Late messages go out at once: a slow server must not slow the clock it is measured with.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::new();
    loop {
        tokio::select! {
            at = ticks.tick() => {
                if end <= at {
                    break;
                }
                // Counted from when it was due, so that waiting in here shows too.
                let due = nanos(epoch, at);
                let message = format!(
                    "{{\"conversationId\":\"{conversation}\",\"content\":\"t:{due}\",\"senderType\":\"patient\"}}"
                );
                client.emit("send_message", &message).await?;
                sent.push(due);
            }
            packet = client.next() => check(&packet?)?,
        }
    }
    // Keeps the socket open until the receiver has seen the last of it.
    let deadline = end + GRACE;
    while let Ok(packet) = timeout_at(deadline, client.next()).await {
        check(&packet?)?;
    }
    Ok(sent)
}

fn nanos(epoch: Instant, at: tokio::time::Instant) -> u128 {
    at.into_std().saturating_duration_since(epoch).as_nanos()
}

/// Fails on an error event: a run with refused messages measures nothing.
pub(crate) fn check(packet: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        !packet.starts_with("42/chat,[\"error\""),
        "the server answered {packet}"
    );
    Ok(())
}

async fn receive(
    mut client: Client,
    epoch: Instant,
    counted: u128,
    deadline: tokio::time::Instant,
) -> anyhow::Result<Histogram<u64>> {
    let mut latency = Histogram::new(3)?;
    while let Ok(packet) = timeout_at(deadline, client.next()).await {
        let packet = packet?;
        let now = epoch.elapsed().as_nanos();
        check(&packet)?;
        let Some((_, rest)) = packet.split_once(MARK) else {
            continue;
        };
        let due: u128 = rest
            .split('"')
            .next()
            .context("a mark without end")?
            .parse()?;
        if counted <= due {
            latency.record(u64::try_from(now.saturating_sub(due) / 1_000)?)?;
        }
    }
    Ok(latency)
}

/// Returns a quantile of microseconds, in milliseconds.
pub(crate) fn quantile(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_micros(histogram.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
}
