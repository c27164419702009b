//! F12: Postgres dies for good, and its standby takes its place.
//!
//! Replication is synchronous from before the death on, so nothing that was confirmed may be lost. What
//! an asynchronous standby loses is no fault of the services; that they notice is tested with them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Site, services::GRACEFUL, site::at_port};
use crate::rng::Rng;

pub(super) async fn fail_over(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let port = site.control.copy().await?;
    let copied = site.ended("copy").await?;
    ensure!(copied == GRACEFUL, "Postgres was not copied: {copied}");
    let pid = site.control.follow().await?;
    let followed = follow(&site.database).await;
    if followed.is_err() {
        // Without the standby it would wait for it for ever.
        set_synchronous(&site.database, false).await?;
    }
    followed?;
    sleep(rng.millis(500, 2_000)).await;

    let before = epoch(&site.database).await?;
    site.signal("postgres", Signal::KILL)?;
    site.ended("postgres").await?;
    sleep(rng.millis(0, 1_000)).await;
    promote(&site, port).await?;
    for link in site.links.iter().filter(|link| link.server == "postgres") {
        link.retarget(port);
    }
    site.control.switch().await?;
    site.rename("postgres", pid);
    site.ready("postgres").await?;

    let after = epoch(&site.database).await?;
    ensure!(before < after, "the epoch was {before}, and is {after}");
    Ok(vec!["postgres".to_owned()])
}

/// Waits until the standby has everything, and lets no commit be confirmed from then on that it
/// does not have.
async fn follow(primary: &PgPool) -> anyhow::Result<()> {
    becomes(primary, "state = 'streaming'").await?;
    set_synchronous(primary, true).await?;
    becomes(primary, "sync_state = 'sync'").await
}

/// Sets whether commits wait for the standby.
async fn set_synchronous(primary: &PgPool, on: bool) -> anyhow::Result<()> {
    let statement = if on {
        "ALTER SYSTEM SET synchronous_standby_names = '*'"
    } else {
        "ALTER SYSTEM RESET synchronous_standby_names"
    };
    sqlx::query(statement).execute(primary).await?;
    sqlx::query("SELECT pg_reload_conf()")
        .execute(primary)
        .await?;
    Ok(())
}

async fn becomes(primary: &PgPool, state: &'static str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let statement = format!("SELECT count(*) FROM pg_stat_replication WHERE {state}");
    loop {
        let count = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(statement.as_str()));
        if 0 < count.fetch_one(primary).await? {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no standby with {state}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn promote(site: &Site, port: u16) -> anyhow::Result<()> {
    let url = at_port(&site.endpoints.postgres.url, port).context("Postgres has no port")?;
    let mut standby = PgConnection::connect(&url).await?;
    let is_promoted: bool = sqlx::query_scalar("SELECT pg_promote(true, 40)")
        .fetch_one(&mut standby)
        .await?;
    ensure!(is_promoted, "the standby was not promoted");
    Ok(standby.close().await?)
}

async fn epoch(database: &PgPool) -> anyhow::Result<i64> {
    let epoch = sqlx::query_scalar("SELECT chat_epoch()");
    Ok(epoch.fetch_one(database).await?)
}
