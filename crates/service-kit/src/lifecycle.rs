//! The end of a process: first finish, then drop.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chat_domain::BoxError;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

/// How long a drain may take unless [`Lifecycle::drain_within`] says otherwise.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(90);

/// Two tokens and a tracker. Clones share them.
///
/// * **soft** is pulled by the first SIGTERM or SIGINT, or by [`Self::fail`]: take nothing new, finish
///   what is in flight, return.
/// * **hard** is pulled by the second signal or by the drain deadline: drop everything.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
    failed: AtomicBool,
    drain_timeout: Mutex<Duration>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tracker: TaskTracker::new(),
            failed: AtomicBool::new(false),
            drain_timeout: Mutex::new(DEFAULT_DRAIN_TIMEOUT),
        }
    }
}

impl Lifecycle {
    /// Returns a lifecycle that no signal reaches; [`crate::run`] makes the one of the process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the token that asks for a clean end.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.0.soft.clone()
    }

    /// Returns the token that asks to drop everything.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.0.hard.clone()
    }

    /// Returns the tracker of what must finish before the process may end.
    #[must_use]
    pub fn tracker(&self) -> TaskTracker {
        self.0.tracker.clone()
    }

    /// Sets how long the drain may take from now on.
    pub fn drain_within(&self, timeout: Duration) {
        *self.0.drain_timeout.lock() = timeout;
    }

    /// Spawns a task that the drain waits for. It returns soon after **soft**.
    ///
    /// A task that panics brings the process down, with an exit code of failure: half a service is
    /// worse than one that is restarted.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let lifecycle = self.clone();
        let task = async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                lifecycle.fail(format!("task {name} panicked"));
            }
        };
        self.0
            .tracker
            .spawn(task.instrument(tracing::error_span!("task", task.name = name)));
    }

    /// Ends the process because of `error`: logs it, drains, and exits with a failure.
    pub fn fail(&self, error: impl Into<BoxError>) {
        let error = error.into();
        tracing::error!(
            error = &*error as &dyn std::error::Error,
            "shutting down after a failure"
        );
        self.0.failed.store(true, Ordering::Relaxed);
        self.0.soft.cancel();
    }

    /// Tells whether [`Self::fail`] was called.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Pulls soft at the first signal, hard at the second or at the deadline.
    pub(crate) async fn obey(self, mut signals: Signals) {
        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "draining"),
            () = self.0.soft.cancelled() => {}
        }
        self.0.soft.cancel();
        let timeout = *self.0.drain_timeout.lock();
        tokio::select! {
            name = signals.next() => {
                tracing::warn!(signal = name, "second signal: dropping what is in flight");
            }
            () = tokio::time::sleep(timeout) => {
                let seconds = timeout.as_secs();
                tracing::warn!(drain.timeout_s = seconds, "drain deadline: dropping what is in flight");
            }
        }
        self.0.hard.cancel();
    }

    /// Waits for every tracked task, at most `grace` past **hard**. Tells whether all are done.
    pub(crate) async fn drained(&self, grace: Duration) -> bool {
        self.0.tracker.close();
        let deadline = async {
            self.0.hard.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            () = self.0.tracker.wait() => true,
            () = deadline => {
                tracing::error!(tasks = self.0.tracker.len(), "tasks did not end");
                false
            }
        }
    }
}

/// The signals that end a process.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_every_task() {
        let lifecycle = Lifecycle::new();
        let soft = lifecycle.soft();
        lifecycle.spawn("worker", async move { soft.cancelled().await });

        lifecycle.soft().cancel();

        assert!(lifecycle.drained(Duration::ZERO).await);
        assert!(!lifecycle.has_failed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_a_drain_that_hangs() {
        let lifecycle = Lifecycle::new();
        lifecycle.drain_within(Duration::from_secs(3));
        lifecycle.spawn("stuck", std::future::pending());
        tokio::spawn(lifecycle.clone().obey(Signals::listen().unwrap()));

        lifecycle.soft().cancel();

        assert!(!lifecycle.drained(Duration::from_secs(1)).await);
        assert!(lifecycle.hard().is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_panics_fails_the_process() {
        let lifecycle = Lifecycle::new();

        lifecycle.spawn("broken", async { panic!("on purpose") });

        lifecycle.soft().cancelled().await;
        assert!(lifecycle.has_failed());
    }
}
