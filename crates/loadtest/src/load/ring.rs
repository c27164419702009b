//! Calls: one after the other, each rung by one side and ended by it as soon as the other rings.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::{
    log::{Log, Seen},
    summary,
};
use crate::{device::Device, users::Pair};

/// How long a call may take to ring, or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Rings until `end`, every `period`, the pairs in turn.
pub(crate) async fn ring(
    log: Arc<Log>,
    url: String,
    pairs: Vec<Pair>,
    period: Duration,
    end: tokio::time::Instant,
) {
    let mut ticks = interval_at(tokio::time::Instant::now(), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for pair in pairs.iter().cycle() {
        if end <= ticks.tick().await {
            return;
        }
        match timeout(PATIENCE * 2, call(&url, pair)).await {
            Ok(Ok(after)) => log.note(Seen::Rang(after)),
            Ok(Err(error)) => {
                log.note(Seen::CallFailed);
                summary::tell(&format!("a call failed: {error:#}"));
            }
            Err(_) => {
                log.note(Seen::CallFailed);
                summary::tell("a call took too long");
            }
        }
    }
}

/// Returns how soon the other side rang.
async fn call(url: &str, pair: &Pair) -> anyhow::Result<Duration> {
    let mut caller = Device::open(url, &pair.patient.token).await?;
    let mut callee = Device::open(url, &pair.consultant.token).await?;
    let call = json!({
        "toUserId": pair.consultant.id,
        "conversationId": pair.conversation,
        "callType": "audio",
    });
    let started = Instant::now();
    caller.emit("call:initiate", &call.to_string()).await;
    hear(&mut callee, "call:incoming").await?;
    let after = started.elapsed();
    let end = json!({"toUserId": pair.consultant.id});
    caller.emit("call:end", &end.to_string()).await;
    hear(&mut callee, "call:ended").await?;
    Ok(after)
}

async fn hear(device: &mut Device, wanted: &str) -> anyhow::Result<()> {
    let wait = async {
        loop {
            let (name, body) = device.next().await?.context("the connection was lost")?;
            ensure!(name != "error", "refused: {body}");
            if name == wanted {
                return Ok(());
            }
        }
    };
    let heard = timeout(PATIENCE, wait).await;
    heard.with_context(|| format!("no {wanted} came"))?
}
