//! The time of day jumps for one service, by two hours, and back. What measures durations goes on.

use tokio::time::sleep;

use super::{Site, services::one};
use crate::rng::Rng;

/// Seconds.
const JUMP: i64 = 2 * 3_600;

pub(super) async fn gateway(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.gateways())?;
    jump(&site, &mut rng, name).await
}

pub(super) async fn store(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let name = one(&mut rng, &site.stores())?;
    jump(&site, &mut rng, name).await
}

async fn jump(site: &Site, rng: &mut Rng, name: String) -> anyhow::Result<Vec<String>> {
    let mut jumps = [JUMP, -JUMP];
    rng.shuffle(&mut jumps);
    for seconds in jumps {
        site.clocks.shift(&name, seconds)?;
        sleep(rng.millis(1_000, 4_000)).await;
    }
    site.clocks.shift(&name, 0)?;
    Ok(vec![name])
}
