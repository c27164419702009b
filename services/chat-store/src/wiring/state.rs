//! What every replica does for calls and presence beside answering: do what is due, record and tell
//! what changed, and bring back what Redis lost.
//!
//! Any number of replicas may do it at a time; none has to be the only one. Chat does not wait for
//! any of it.

use std::{sync::Arc, time::Duration};

use chat_domain::{AppId, ChatError};
use service_kit::{DependencyHealth, Lifecycle, apps::Apps};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::upkeep::{Ticks, warn};
use crate::{
    app::{
        App,
        calls::{FollowUp, Recorder, reconcile, sweep as sweep_calls},
        presence::{Announcer, sweep as sweep_presence},
    },
    metrics::Metric,
    nats::{Notifier, OutPublisher},
    pg::Pg,
    ports::Events,
    ports_calls::CallState as _,
    redis::RedisState,
};

/// How often it is looked for what is due; a ring ends that much too late at most.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// How often rows without an outcome are compared with the state.
const RECONCILE_EVERY: Duration = Duration::from_mins(1);

/// What the work is done with.
pub(super) struct Parts {
    pub(super) state: RedisState,
    pub(super) pg: Pg,
    pub(super) notifier: Notifier,
    pub(super) out: OutPublisher,
    pub(super) events: Arc<dyn Events>,
    pub(super) app: App,
    pub(super) apps: Arc<Apps>,
    pub(super) redis: DependencyHealth,
}

/// Begins all of it, until the process drains.
pub(super) fn start(lifecycle: &Lifecycle, parts: Parts) {
    let Parts {
        state,
        pg,
        notifier,
        out,
        events,
        app,
        apps,
        redis,
    } = parts;
    let soft = lifecycle.soft();
    let sweeper = Sweeper {
        apps: app.apps().iter().map(|app| app.id.clone()).collect(),
        state: state.clone(),
        events,
        redis,
    };
    lifecycle.spawn("state sweeper", sweeper.run(soft.clone()));
    let reconciling = keep_reconciling(state.clone(), pg.clone(), soft.clone());
    lifecycle.spawn("call reconciler", reconciling);

    let (shared, pg, notifier) = (Arc::new(state.clone()), Arc::new(pg), Arc::new(notifier));
    let announcer = Announcer::new(pg.clone(), notifier.clone(), shared.clone(), apps);
    let follow_up = FollowUp::new(shared.clone(), pg.clone(), shared.clone());
    let recorder = Recorder::new(shared, pg, notifier, follow_up, app);
    let consumer: Arc<str> = Uuid::new_v4().to_string().into();
    lifecycle.spawn("call log", {
        let (state, consumer, soft) = (state.clone(), consumer.clone(), soft.clone());
        async move { state.read_calls(&consumer, &recorder, &soft).await }
    });
    lifecycle.spawn("presence log", {
        let (state, consumer, soft) = (state.clone(), consumer.clone(), soft.clone());
        async move { state.read_presence(&consumer, &announcer, &soft).await }
    });
    lifecycle.spawn("out log", async move {
        // Says early what is wrong; what is queued is tried again anyway.
        out.prepare().await;
        state.read_out(&consumer, &out, &soft).await;
    });
}

/// Does what is due, and mirrors the state of Redis into its health.
struct Sweeper {
    apps: Vec<AppId>,
    state: RedisState,
    events: Arc<dyn Events>,
    redis: DependencyHealth,
}

impl Sweeper {
    /// Runs until `soft`.
    async fn run(self, soft: CancellationToken) {
        let mut ticks = Ticks::new(SWEEP_EVERY, soft);
        let mut is_failing = false;
        while ticks.next().await {
            match self.sweep().await {
                Ok(more) => {
                    is_failing = false;
                    self.redis.up();
                    if more {
                        ticks.at_once();
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn(&error, "calls are unavailable, and presence is unknown");
                    }
                    self.redis.down(error.to_string());
                }
            }
        }
    }

    async fn sweep(&self) -> Result<bool, ChatError> {
        let (state, apps) = (&self.state, &self.apps);
        Metric::CallLogLagSeconds.set(state.lag().await?.as_secs_f64());
        // Without NATS no gateway can be heard, and silence means nothing.
        if self.events.ready() {
            state.bury(apps).await?;
        }
        let more_calls = sweep_calls(state, apps).await?;
        Ok(sweep_presence(state, apps).await? | more_calls)
    }
}

/// Puts calls back that the state lost, until `soft`.
async fn keep_reconciling(state: RedisState, pg: Pg, soft: CancellationToken) {
    let mut ticks = Ticks::new(RECONCILE_EVERY, soft);
    while ticks.next().await {
        if let Err(error) = reconcile(&state, &pg).await {
            warn(&error, "calls not reconciled; tried again in a minute");
        }
    }
}
