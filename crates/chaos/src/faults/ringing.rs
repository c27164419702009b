//! Faults while calls ring: calls begin one after the other, and then a process dies at once for all
//! of them, so that each was in another moment of its ringing.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::{
    sync::mpsc::Sender,
    time::{sleep, timeout},
};

use super::{Site, servers, services::one};
use crate::{
    people::RING_MS,
    rng::Rng,
    workload::{Order, Shared},
};

/// How long a device may take to be where it was sent.
const ARRIVAL: Duration = Duration::from_secs(8);

/// A device that calls when it is told to.
#[derive(Debug, Clone)]
pub struct Line {
    /// Takes orders.
    pub orders: Sender<Order>,
    /// How it is doing.
    pub status: Shared,
}

/// Everybody who is there to call.
#[derive(Debug, Default)]
pub struct Lines {
    /// Callers who come back when they lose their connection.
    pub faithful: Vec<Line>,
    /// A caller who does not, for longer than the grace.
    pub faithless: Vec<Line>,
}

pub(super) async fn kill_gateway(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    ring(&site.lines.faithful, &name).await?;
    site.replace(&name, rng.millis(0, 1_500)).await?;
    Ok(vec![name])
}

pub(super) async fn kill_store(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    let store = one(&mut rng, &site.stores())?;
    ring(&site.lines.faithful, &name).await?;
    site.replace(&store, rng.millis(0, 2_000)).await?;
    Ok(vec![store])
}

pub(super) async fn kill_and_flush(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    ring(&site.lines.faithful, &name).await?;
    site.signal(&name, Signal::KILL)?;
    servers::flush(&site).await?;
    site.ended(&name).await?;
    site.start(&name).await?;
    Ok(vec![name, "redis".to_owned()])
}

/// The caller stays away for longer than the grace: the callee is told that it is over.
pub(super) async fn abandon(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    ring(&site.lines.faithless, &name).await?;
    site.replace(&name, rng.millis(0, 1_500)).await?;
    Ok(vec![name])
}

/// Brings callers to a gateway and lets them call one after the other, over the time that calls ring.
async fn ring(lines: &[Line], gateway: &str) -> anyhow::Result<()> {
    let index = gateway
        .strip_prefix('g')
        .and_then(|i| i.parse::<usize>().ok());
    let index = index.and_then(|i| i.checked_sub(1)).context("no gateway")?;
    for line in lines {
        line.orders.send(Order::MoveTo(index)).await?;
    }
    for line in lines {
        let arrived = async {
            while !line.status.lock().is_at(index) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        // One that can't come calls from where it is.
        let _ = timeout(ARRIVAL, arrived).await;
    }
    let count = u32::try_from(lines.len().max(1))?;
    for line in lines {
        line.orders.send(Order::Call).await?;
        sleep(Duration::from_millis(RING_MS) / count).await;
    }
    Ok(())
}
