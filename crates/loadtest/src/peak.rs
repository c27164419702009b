//! The most messages a second that go from socket to socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::timeout;

use crate::{
    client::Client,
    endpoints::{Endpoints, Gateway},
    latency::{check, sides},
    machine,
    report::Report,
    users::Pair,
    yardstick::AppendRate,
};

/// Messages that a sender has under way at once.
const WINDOW: usize = 8;
/// How often numbers of gateways are compared.
const ROUNDS: usize = 3;

/// What goes through so many gateways.
struct Peak {
    per_second: f64,
    /// Seconds of processor time of gateways and stores.
    cpu_per_message: f64,
}

/// Every pair's sender keeps [`WINDOW`] messages under way; counts what the receivers get. Once over
/// all gateways, then over one, two and four of them.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
    seconds: u64,
    alone: &AppendRate,
) -> anyhow::Result<()> {
    let gateways = &endpoints.gateways;
    let all = run(endpoints, gateways, pairs, seconds).await?;
    report.add(
        "messages through the whole system, socket to socket",
        format!(
            "{:.0} msg/s ({:.0} % of the function)",
            all.per_second,
            100.0 * all.per_second / alone.batched_per_second
        ),
        format!(
            "{:.0} msg/s by the append function alone, from SQL",
            alone.batched_per_second
        ),
    );
    report.add(
        "processor time per message, gateways and stores",
        format!("{:.0} µs", 1e6 * all.cpu_per_message),
        format!(
            "{:.0} µs between two messages at this rate",
            1e6 / all.per_second
        ),
    );

    compare(report, endpoints, pairs, seconds).await
}

/// Measures over one, two and four gateways in turn, as the machine is not the same from one minute to
/// the next, and reports the medians.
async fn compare(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
    seconds: u64,
) -> anyhow::Result<()> {
    let gateways = &endpoints.gateways;
    let mut over = [1, 2, 4].map(|n| (n, Vec::new()));
    for _ in 0..ROUNDS {
        for (n, peaks) in &mut over {
            if let Some(some) = gateways.get(..*n) {
                report.progress(&format!("the same over {n} of {}", gateways.len()));
                peaks.push(run(endpoints, some, pairs, seconds).await?);
            }
        }
    }

    let mut one = None;
    for (n, mut peaks) in over {
        peaks.sort_by(|a, b| a.cpu_per_message.total_cmp(&b.cpu_per_message));
        let ([best, .., worst], Some(median)) = (&peaks[..], peaks.get(ROUNDS / 2)) else {
            break;
        };
        let one = one.get_or_insert(median.cpu_per_message);
        report.add(
            &format!(
                "the same over {n} of {} gateways, median of {ROUNDS}",
                gateways.len()
            ),
            format!(
                "{:.0} msg/s, {:.0} µs a message ({:.0} to {:.0})",
                median.per_second,
                1e6 * median.cpu_per_message,
                1e6 * best.cpu_per_message,
                1e6 * worst.cpu_per_message,
            ),
            format!(
                "{:.2} x the processor time with one; budget 1.2 x",
                median.cpu_per_message / *one
            ),
        );
    }
    Ok(())
}

async fn run(
    endpoints: &Endpoints,
    gateways: &[Gateway],
    pairs: &[Pair],
    seconds: u64,
) -> anyhow::Result<Peak> {
    let arrivals = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for (n, pair) in pairs.iter().enumerate() {
        let [near, far] = sides(gateways, n)?;
        let sender = Client::connect(near, &pair.patient.token).await?;
        let receiver = Client::connect(far, &pair.consultant.token).await?;
        tasks.spawn(send(sender, pair.conversation.clone()));
        tasks.spawn(count(receiver, Arc::clone(&arrivals)));
    }

    // The first two seconds fill caches.
    wait(&mut tasks, Duration::from_secs(2)).await?;
    let cpu_before = cpu(endpoints)?;
    let (before, started) = (arrivals.load(Ordering::Relaxed), Instant::now());
    wait(&mut tasks, Duration::from_secs(seconds)).await?;
    let messages = arrivals.load(Ordering::Relaxed) - before;
    let elapsed = started.elapsed().as_secs_f64();
    let cpu_used = cpu(endpoints)? - cpu_before;
    tasks.shutdown().await;

    let messages = f64::from(u32::try_from(messages)?.max(1));
    Ok(Peak {
        per_second: messages / elapsed,
        cpu_per_message: cpu_used / messages,
    })
}

/// Waits, unless a client fails first.
async fn wait(
    tasks: &mut tokio::task::JoinSet<anyhow::Result<()>>,
    duration: Duration,
) -> anyhow::Result<()> {
    match timeout(duration, tasks.join_next()).await {
        Ok(Some(ended)) => ended?,
        Ok(None) | Err(_) => Ok(()),
    }
}

async fn send(mut client: Client, conversation: String) -> anyhow::Result<()> {
    let message = format!(
        "{{\"conversationId\":\"{conversation}\",\"content\":\"as fast as it goes\",\"senderType\":\"patient\"}}"
    );
    for _ in 0..WINDOW {
        client.emit("send_message", &message).await?;
    }
    loop {
        let packet = client.next().await?;
        check(&packet)?;
        if packet.starts_with("42/chat,[\"message_sent\"") {
            client.emit("send_message", &message).await?;
        }
    }
}

async fn count(mut client: Client, arrivals: Arc<AtomicU64>) -> anyhow::Result<()> {
    loop {
        let packet = client.next().await?;
        check(&packet)?;
        if packet.starts_with("42/chat,[\"new_message\"") {
            arrivals.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn cpu(endpoints: &Endpoints) -> anyhow::Result<f64> {
    let gateways = endpoints.gateways.iter().map(|gateway| gateway.pid);
    let stores = endpoints.stores.iter().map(|store| store.pid);
    gateways.chain(stores).map(machine::cpu_seconds).sum()
}
