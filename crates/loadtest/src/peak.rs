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
    endpoints::Endpoints,
    latency::{check, sides},
    machine,
    report::Report,
    users::Pair,
    yardstick::AppendRate,
};

/// Messages that a sender has under way at once.
const WINDOW: usize = 8;

/// Every pair's sender keeps [`WINDOW`] messages under way; counts what the receivers get.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
    seconds: u64,
    alone: &AppendRate,
) -> anyhow::Result<()> {
    let arrivals = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for (n, pair) in pairs.iter().enumerate() {
        let [near, far] = sides(endpoints, n)?;
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

    let messages = u32::try_from(messages)?.max(1);
    let rate = f64::from(messages) / elapsed;
    report.add(
        "messages through the whole system, socket to socket",
        format!(
            "{rate:.0} msg/s ({:.0} % of the function)",
            100.0 * rate / alone.batched_per_second
        ),
        format!(
            "{:.0} msg/s by the append function alone, from SQL",
            alone.batched_per_second
        ),
    );
    report.add(
        "processor time per message, gateways and stores",
        format!("{:.0} µs", 1e6 * cpu_used / f64::from(messages)),
        format!("{:.0} µs between two messages at this rate", 1e6 / rate),
    );
    Ok(())
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
