//! Faults of clients.

use std::time::Duration;

use tokio::time::sleep;

use super::Site;
use crate::{rng::Rng, workload::Order};

pub(super) async fn stall(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let time = rng.millis(1_500, 4_000);
    some(&site, &mut rng, 30, Order::Stall(time));
    sleep(time).await;
    Ok(clients())
}

pub(super) async fn flap(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    for _ in 0..8 {
        some(&site, &mut rng, 20, Order::Flap(2));
        sleep(Duration::from_millis(200)).await;
    }
    Ok(clients())
}

fn some(site: &Site, rng: &mut Rng, percent: u64, order: Order) {
    for device in &site.orders {
        if rng.chance(percent) {
            // One that has not done the last thing yet has enough to do.
            let _ = device.try_send(order);
        }
    }
}

fn clients() -> Vec<String> {
    vec!["clients".to_owned()]
}
