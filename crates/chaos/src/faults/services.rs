//! Faults of gateways and stores.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::time::sleep;

use super::Site;
use crate::{history::Event, rng::Rng};

/// What a shell calls an end without complaint.
pub(super) const GRACEFUL: &str = "exit status: 0";

pub(super) async fn kill_gateway(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    site.replace(&name, rng.millis(0, 2_000)).await?;
    Ok(vec![name])
}

pub(super) async fn stop_gateway(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    // Either side of the nine seconds after which a silent gateway counts as gone.
    let time = if rng.chance(50) {
        rng.millis(1_000, 3_000)
    } else {
        rng.millis(10_000, 12_000)
    };
    site.stop(&name, time, false).await?;
    Ok(vec![name])
}

pub(super) async fn end_gateway(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    restart(&site, &name).await?;
    Ok(vec![name])
}

pub(super) async fn kill_store(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let stores = site.stores();
    let mut killed = Vec::new();
    for _ in 0..4 {
        let name = one(&mut rng, &stores)?;
        site.replace(&name, Duration::ZERO).await?;
        sleep(rng.millis(0, 700)).await;
        killed.push(name);
    }
    Ok(killed)
}

/// What it commits meanwhile it neither answers nor publishes: somebody else has to.
pub(super) async fn kill_silent_store(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.stores())?;
    for _ in 0..3 {
        for link in site.links(&name, "nats") {
            link.change(|trouble| trouble.mute = true);
        }
        sleep(rng.millis(5, 400)).await;
        site.signal(&name, Signal::KILL)?;
        site.ended(&name).await?;
        for link in site.links(&name, "nats") {
            link.heal();
        }
        site.start(&name).await?;
        sleep(rng.millis(0, 300)).await;
    }
    Ok(vec![name])
}

pub(super) async fn stop_store(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.stores())?;
    site.stop(&name, rng.millis(1_000, 5_000), false).await?;
    Ok(vec![name])
}

pub(super) async fn roll(site: Site, _rng: Rng) -> anyhow::Result<Vec<String>> {
    let all = [site.stores(), site.gateways()].concat();
    for name in &all {
        restart(&site, name).await?;
    }
    Ok(all)
}

/// Asks a service to end, waits until it has, and starts it again.
async fn restart(site: &Site, name: &str) -> anyhow::Result<()> {
    let t_invoke = site.recorder.now();
    site.signal(name, Signal::TERM)?;
    let result = site.ended(name).await;
    let result = match result {
        Ok(status) if status == GRACEFUL => "ok".to_owned(),
        Ok(status) => status,
        Err(error) => {
            site.signal(name, Signal::KILL)?;
            site.ended(name).await?;
            error.to_string()
        }
    };
    let key = name.to_owned();
    site.recorder
        .done(t_invoke, "suite", Event::Drained { key, result });
    site.start(name).await
}

/// Picks a name.
pub(super) fn one(rng: &mut Rng, names: &[String]) -> anyhow::Result<String> {
    rng.pick(names).cloned().context("there is none")
}
