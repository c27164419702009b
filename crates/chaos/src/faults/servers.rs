//! Faults of NATS and Redis.

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Site;
use crate::rng::Rng;

pub(super) async fn kill_nats(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    site.replace("nats", rng.millis(0, 2_500)).await?;
    Ok(vec!["nats".to_owned()])
}

pub(super) async fn stop_nats(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    site.stop("nats", rng.millis(500, 4_000), false).await?;
    Ok(vec!["nats".to_owned()])
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

/// Lets Redis forget everything, its functions too.
pub(super) async fn flush(site: &Site) -> anyhow::Result<()> {
    let address = site.endpoints.redis.url.split_once("://");
    let (_, address) = address.context("Redis has no address")?;
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"FLUSHALL\r\nFUNCTION FLUSH\r\nQUIT\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("+OK\r\n+OK"), "Redis said {answer:?}");
    Ok(())
}
