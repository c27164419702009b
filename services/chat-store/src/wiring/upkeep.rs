//! What every replica does beside answering: keep partitions ahead, sweep the outbox, watch Postgres.
//!
//! Any number of replicas may do it at a time; none has to be the only one.

use std::{sync::Arc, time::Duration};

use chat_domain::ChatError;
use service_kit::{DependencyHealth, apps::Apps, auth::Revocations};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Attachments, ServiceTeller, expire_messages, remove_files, sweep_outbox},
    metrics::Metric,
    nats::JournalStream,
    pg::Pg,
    ports::{Events, Outbox as _},
    ports_audit::{AuditLog as _, Head},
    ports_out::OutQueue as _,
    ports_revocations::RevocationLog as _,
};

/// How often partitions are looked after; there are weeks of them ahead.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// How often messages that have expired are deleted; they were hidden at once.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

/// How often it is seen to that what gateways note is kept.
const JOURNAL_EVERY: Duration = Duration::from_mins(1);

/// How often the ends of the log of accesses are logged.
const HEADS_EVERY: Duration = Duration::from_mins(1);

/// How often overdue batches are looked for. With the second that their writer has, a batch is told
/// again at most two seconds after its commit.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// After how many rounds what waits too long is given up: some minutes.
const PRUNE_EVERY: u32 = 512;

/// How often it is looked for what was revoked: every replica has to know within a second.
const LEARN_EVERY: Duration = Duration::from_millis(500);

/// How often revocations are forgotten whose tokens have ended by themselves.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// How often files that no message names are looked for; nobody could have them since.
const CLEAN_EVERY: Duration = Duration::from_hours(1);

/// How often Postgres is asked how it is.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Creates the partitions of the coming weeks, until `soft`.
pub(super) async fn keep_partitions(pg: Pg, soft: CancellationToken) {
    let mut ticks = Ticks::new(PARTITIONS_EVERY, soft);
    while ticks.next().await {
        match pg.create_partitions().await {
            Ok(0) => {}
            Ok(made) => tracing::info!(partitions = made, "partitions made"),
            Err(error) => warn(&error, "partitions not made; tried again in an hour"),
        }
    }
}

/// Deletes what has expired, until `soft`.
pub(super) async fn keep_expiring(pg: Pg, apps: Arc<Apps>, soft: CancellationToken) {
    let mut ticks = Ticks::new(EXPIRE_EVERY, soft);
    while ticks.next().await {
        match expire_messages(&pg, &apps, service_kit::now()).await {
            Ok((0, 0)) => {}
            Ok((messages, partitions)) => {
                tracing::info!(messages, partitions, "expired messages deleted");
            }
            Err(error) => warn(
                &error,
                "expired messages not deleted; tried again in an hour",
            ),
        }
    }
}

/// Learns what is revoked, until `soft`.
pub(super) async fn keep_learning(app: App, known: Arc<Revocations>, soft: CancellationToken) {
    let mut ticks = Ticks::new(LEARN_EVERY, soft);
    let mut is_failing = false;
    while ticks.next().await {
        match app.learn_revocations(&known).await {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    warn(&error, "not known what is revoked; those known stay so");
                }
            }
        }
    }
}

/// Forgets revocations that mean nothing any more, until `soft`.
pub(super) async fn keep_forgetting(pg: Pg, known: Arc<Revocations>, soft: CancellationToken) {
    let mut ticks = Ticks::new(FORGET_EVERY, soft);
    while ticks.next().await {
        known.forget(service_kit::now());
        if let Err(error) = pg.prune_revocations().await {
            warn(
                &error,
                "old revocations not deleted; tried again in an hour",
            );
        }
    }
}

/// Logs where the chains of the log of accesses end, until `soft`: whoever keeps what is logged can tell
/// later whether a chain was written anew.
pub(super) async fn keep_logging_heads(pg: Pg, soft: CancellationToken) {
    let mut ticks = Ticks::new(HEADS_EVERY, soft);
    let mut logged = Vec::new();
    while ticks.next().await {
        match pg.list_ends().await {
            Ok(ends) => {
                for end in ends.iter().filter(|end| !logged.contains(*end)) {
                    let (app, link) = end.clone();
                    tracing::info!(head = %Head { app, link }, "audit head");
                }
                logged = ends;
            }
            Err(error) => warn(&error, "audit heads not logged; tried again in a minute"),
        }
    }
}

/// Tells what others left untold, until `soft`.
pub(super) async fn keep_sweeping(pg: Pg, events: Arc<dyn Events>, soft: CancellationToken) {
    let mut ticks = Ticks::new(SWEEP_EVERY, soft);
    while ticks.next().await {
        match sweep_outbox(&pg, &pg, events.as_ref()).await {
            Ok(true) => ticks.at_once(),
            Ok(false) => {}
            Err(error) => warn(&error, "outbox not swept"),
        }
    }
}

/// Tells other services what waits for them, until `soft`; gives up what waited for `max_age`.
pub(super) async fn keep_telling(
    pg: Pg,
    teller: ServiceTeller,
    max_age: Duration,
    soft: CancellationToken,
) {
    let mut ticks = Ticks::new(SWEEP_EVERY, soft);
    let (mut is_failing, mut n_ticks) = (false, 0_u32);
    while ticks.next().await {
        match teller.sweep(&pg).await {
            Ok(more) => {
                is_failing = false;
                if more {
                    ticks.at_once();
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    warn(&error, "other services are told later");
                }
            }
        }
        if n_ticks.is_multiple_of(PRUNE_EVERY) {
            match pg.prune_out(max_age).await {
                Ok(n_rows) => Metric::OutDropped.add(usize::try_from(n_rows).unwrap_or(usize::MAX)),
                Err(error) => warn(&error, "nothing that waits for other services is given up"),
            }
        }
        n_ticks = n_ticks.wrapping_add(1);
    }
}

/// Removes files that no message names, yet or any more, until `soft`.
pub(super) async fn keep_clean(attachments: Attachments, apps: Arc<Apps>, soft: CancellationToken) {
    let mut ticks = Ticks::new(CLEAN_EVERY, soft);
    while ticks.next().await {
        match remove_files(&attachments, &apps, service_kit::now()).await {
            Ok(0) => {}
            Ok(n_files) => {
                tracing::info!(n_files, "files removed");
                ticks.at_once();
            }
            Err(error) => warn(&error, "files not removed; tried again in an hour"),
        }
    }
}

/// Makes the stream of what gateways note, and again should it be lost, until `soft`.
pub(super) async fn keep_journal(journal: JournalStream, soft: CancellationToken) {
    let mut ticks = Ticks::new(JOURNAL_EVERY, soft);
    let mut is_failing = false;
    while ticks.next().await {
        match journal.prepare().await {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    warn(&error, "what gateways note of messages is not kept");
                }
            }
        }
    }
}

/// Mirrors the state of Postgres into `health`, and the age of the outbox into its metric.
pub(super) async fn keep_watching(pg: Pg, health: DependencyHealth, soft: CancellationToken) {
    let mut ticks = Ticks::new(PING_EVERY, soft);
    while ticks.next().await {
        match pg.age_seconds().await {
            Ok(age) => {
                health.up();
                Metric::OutboxAgeSeconds.set(age);
            }
            Err(error) => health.down(error.to_string()),
        }
    }
}

/// A rhythm that ends with the process.
pub(super) struct Ticks {
    interval: Interval,
    soft: CancellationToken,
}

impl Ticks {
    pub(super) fn new(period: Duration, soft: CancellationToken) -> Self {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, soft }
    }

    /// Waits for the next tick, the first of which is now; `false` when there is none.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.soft.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }

    /// Makes the next tick come now.
    pub(super) fn at_once(&mut self) {
        self.interval.reset_immediately();
    }
}

pub(super) fn warn(error: &ChatError, message: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, message);
}
