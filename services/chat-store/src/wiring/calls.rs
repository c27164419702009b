//! What every replica does for calls beside answering: end what is due, record and tell what changed,
//! and bring back what Redis lost.
//!
//! Any number of replicas may do it at a time; none has to be the only one. Chat does not wait for
//! any of it.

use std::{sync::Arc, time::Duration};

use chat_domain::{AppId, ChatError};
use service_kit::{DependencyHealth, Lifecycle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::upkeep::{Ticks, warn};
use crate::{
    app::{
        App,
        calls::{Recorder, reconcile, sweep},
    },
    metrics::Metric,
    nats::Notifier,
    pg::Pg,
    ports_calls::CallState as _,
    redis::RedisCalls,
};

/// How often calls are looked for that are due; a ring ends that much too late at most.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// How often rows without an outcome are compared with the state.
const RECONCILE_EVERY: Duration = Duration::from_mins(1);

/// What the work is done with.
pub(super) struct Parts {
    pub(super) state: RedisCalls,
    pub(super) pg: Pg,
    pub(super) notifier: Notifier,
    pub(super) app: App,
    pub(super) redis: DependencyHealth,
}

/// Begins all of it, until the process drains.
pub(super) fn start(lifecycle: &Lifecycle, parts: Parts) {
    let Parts {
        state,
        pg,
        notifier,
        app,
        redis,
    } = parts;
    let soft = lifecycle.soft();
    let apps = app.apps().iter().map(|app| app.id.clone()).collect();
    let sweeping = keep_sweeping(state.clone(), apps, redis, soft.clone());
    lifecycle.spawn("call sweeper", sweeping);
    let reconciling = keep_reconciling(state.clone(), pg.clone(), soft.clone());
    lifecycle.spawn("call reconciler", reconciling);
    let recorder = Recorder::new(
        Arc::new(state.clone()),
        Arc::new(pg),
        Arc::new(notifier),
        app,
    );
    lifecycle.spawn("call log", async move {
        let consumer = Uuid::new_v4().to_string();
        state.read_log(&consumer, &recorder, &soft).await;
    });
}

/// Ends what is due, and mirrors the state of Redis into `health`, until `soft`.
async fn keep_sweeping(
    state: RedisCalls,
    apps: Vec<AppId>,
    health: DependencyHealth,
    soft: CancellationToken,
) {
    let mut ticks = Ticks::new(SWEEP_EVERY, soft);
    let mut is_failing = false;
    while ticks.next().await {
        match look_after(&state, &apps).await {
            Ok(more) => {
                is_failing = false;
                health.up();
                if more {
                    ticks.at_once();
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    warn(&error, "calls are unavailable");
                }
                health.down(error.to_string());
            }
        }
    }
}

async fn look_after(state: &RedisCalls, apps: &[AppId]) -> Result<bool, ChatError> {
    Metric::CallLogLagSeconds.set(state.lag().await?.as_secs_f64());
    sweep(state, apps).await
}

/// Puts calls back that the state lost, until `soft`.
async fn keep_reconciling(state: RedisCalls, pg: Pg, soft: CancellationToken) {
    let mut ticks = Ticks::new(RECONCILE_EVERY, soft);
    while ticks.next().await {
        if let Err(error) = reconcile(&state, &pg).await {
            warn(&error, "calls not reconciled; tried again in a minute");
        }
    }
}
