//! Faults of NATS and Redis.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{PATIENCE, Site, services::one};
use crate::rng::Rng;

/// One after the other, as when they are updated without being asked.
pub(super) async fn kill_nats(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    for name in site.brokers() {
        site.replace(&name, rng.millis(0, 2_500)).await?;
    }
    Ok(nats())
}

pub(super) async fn stop_nats(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.brokers())?;
    site.stop(&name, rng.millis(500, 4_000), false).await?;
    Ok(nats())
}

/// What is said at one server is not heard at another for a while; services of both work on.
pub(super) async fn cut_route(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    for _ in 0..2 {
        let routes = site.routes();
        let route = rng.pick(&routes).context("NATS is one server")?;
        let draw = rng.below(4);
        route.change(|trouble| match draw {
            0 => trouble.mute = true,
            1 => trouble.deaf = true,
            2 => (trouble.mute, trouble.deaf) = (true, true),
            _ => trouble.cut = true,
        });
        sleep(rng.millis(1_000, 6_000)).await;
        route.heal();
        sleep(rng.millis(0, 1_000)).await;
    }
    Ok(nats())
}

fn nats() -> Vec<String> {
    vec!["nats".to_owned()]
}

pub(super) async fn flush_redis(site: Site, _rng: Rng) -> anyhow::Result<Vec<String>> {
    flush(&site).await?;
    Ok(vec!["redis".to_owned()])
}

pub(super) async fn kill_redis(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    site.replace("redis", rng.millis(0, 2_500)).await?;
    Ok(vec!["redis".to_owned()])
}

pub(super) async fn stop_redis(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    site.stop("redis", rng.millis(1_000, 5_000), false).await?;
    Ok(vec!["redis".to_owned()])
}

/// Lets Redis forget everything, its functions too, once it has read what it kept.
pub(super) async fn flush(site: &Site) -> anyhow::Result<()> {
    let address = site.endpoints.redis.url.split_once("://");
    let (_, address) = address.context("Redis has no address")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"FLUSHALL\r\nFUNCTION FLUSH\r\nQUIT\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.starts_with("+OK\r\n+OK") {
            return Ok(());
        }
        let is_loading = answer.contains("-LOADING");
        ensure!(
            is_loading && Instant::now() < deadline,
            "Redis said {answer:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}
