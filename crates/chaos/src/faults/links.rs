//! Faults of the links between our services and the servers.

use tokio::time::sleep;

use super::{Site, services::one};
use crate::{proxy::Trouble, rng::Rng};

pub(super) async fn gateway_nats(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    trouble(site, rng, name, "nats").await
}

pub(super) async fn store_nats(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.stores())?;
    trouble(site, rng, name, "nats").await
}

pub(super) async fn store_redis(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.stores())?;
    trouble(site, rng, name, "redis").await
}

pub(super) async fn store_postgres(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.stores())?;
    trouble(site, rng, name, "postgres").await
}

/// What gateways hear comes twice, or after what was said later.
pub(super) async fn disorder(site: Site, rng: Rng) -> anyhow::Result<Vec<String>> {
    hear_badly(site, rng, |trouble| trouble.disorder = 25).await
}

/// Some of what gateways would hear is lost, and nobody says so.
pub(super) async fn lose(site: Site, rng: Rng) -> anyhow::Result<Vec<String>> {
    hear_badly(site, rng, |trouble| trouble.loss = 25).await
}

async fn hear_badly(
    site: Site,
    mut rng: Rng,
    change: fn(&mut Trouble),
) -> anyhow::Result<Vec<String>> {
    let gateways = site.gateways();
    let links = || gateways.iter().flat_map(|name| site.links(name, "nats"));
    for link in links() {
        link.change(change);
    }
    sleep(rng.millis(3_000, 6_000)).await;
    for link in links() {
        link.heal();
    }
    Ok(gateways)
}

/// Two kinds of trouble in turn.
async fn trouble(
    site: Site,
    mut rng: Rng,
    name: String,
    server: &'static str,
) -> anyhow::Result<Vec<String>> {
    for _ in 0..2 {
        let draw = rng.below(7);
        for link in site.links(&name, server) {
            match draw {
                0 => link.change(|trouble| trouble.mute = true),
                1 => link.change(|trouble| trouble.deaf = true),
                2 => link.change(|trouble| (trouble.mute, trouble.deaf) = (true, true)),
                3 => link.change(|trouble| trouble.cut = true),
                4 => link.change(|trouble| trouble.delay = rng.millis(50, 300)),
                5 => link.change(|trouble: &mut Trouble| trouble.throttle = 20_000),
                _ => link.reset(),
            }
        }
        sleep(rng.millis(500, 4_000)).await;
        for link in site.links(&name, server) {
            link.heal();
        }
        sleep(rng.millis(0, 500)).await;
    }
    Ok(vec![name, server.to_owned()])
}
