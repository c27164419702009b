//! Faults of Postgres.

use rustix::process::Signal;
use tokio::time::sleep;

use super::Site;
use crate::rng::Rng;

/// As `pg_ctl restart -m immediate`: nothing is finished, and the log is replayed at the start.
pub(super) async fn restart(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    site.signal("postgres", Signal::QUIT)?;
    site.ended("postgres").await?;
    sleep(rng.millis(0, 1_500)).await;
    site.start("postgres").await?;
    Ok(broken())
}

pub(super) async fn stop(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    site.stop("postgres", rng.millis(1_000, 5_000), true)
        .await?;
    Ok(broken())
}

pub(super) async fn disconnect(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    for _ in 0..3 {
        end_connections(&site).await?;
        sleep(rng.millis(200, 1_200)).await;
    }
    Ok(broken())
}

/// What a full disk comes to: reads go on, and no write succeeds.
pub(super) async fn read_only(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    set_read_only(&site, true).await?;
    sleep(rng.millis(1_000, 3_500)).await;
    set_read_only(&site, false).await?;
    Ok(broken())
}

async fn set_read_only(site: &Site, on: bool) -> anyhow::Result<()> {
    // New connections are; those there are were told otherwise.
    let mut connection = site.database.acquire().await?;
    for statement in [
        "SET default_transaction_read_only = off",
        if on {
            "ALTER DATABASE chat SET default_transaction_read_only = on"
        } else {
            "ALTER DATABASE chat RESET default_transaction_read_only"
        },
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    drop(connection);
    end_connections(site).await
}

/// Ends every connection but the suite's own.
async fn end_connections(site: &Site) -> anyhow::Result<()> {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    .execute(&site.database)
    .await?;
    Ok(())
}

fn broken() -> Vec<String> {
    vec!["postgres".to_owned()]
}
