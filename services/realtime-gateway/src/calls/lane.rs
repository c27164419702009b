//! Work that is done until it succeeds, a little of it at once.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use chat_domain::ChatError;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;

use crate::{delivery::DelayLine, metrics::Metric};

/// How much is under way at once.
const WIDTH: usize = 32;
/// How much may wait.
const CAPACITY: usize = 100_000;
/// The pause before something is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// A bounded queue of work. What finds no room is dropped and counted.
#[derive(Debug)]
pub(super) struct Lane<T> {
    fresh: DelayLine<T>,
    failed: DelayLine<T>,
    n_open: AtomicUsize,
    done: Notify,
}

impl<T: Clone + Send> Lane<T> {
    pub(super) const fn new() -> Self {
        Self {
            fresh: DelayLine::new(Duration::ZERO, CAPACITY),
            failed: DelayLine::new(AGAIN, CAPACITY),
            n_open: AtomicUsize::new(0),
            done: Notify::const_new(),
        }
    }

    pub(super) fn push(&self, item: T) {
        self.n_open.fetch_add(1, Ordering::Relaxed);
        self.keep(&self.fresh, item);
    }

    /// Waits until there is nothing left to do.
    pub(super) async fn settled(&self) {
        loop {
            let done = self.done.notified();
            if self.n_open.load(Ordering::Relaxed) == 0 {
                return;
            }
            done.await;
        }
    }

    /// Does `work` on each item, again and again on those that it fails on. Runs until dropped.
    pub(super) async fn run<Fut>(&self, work: impl Fn(T) -> Fut + Send + Sync)
    where
        Fut: Future<Output = Result<(), ChatError>> + Send,
    {
        loop {
            let batch = tokio::select! {
                batch = self.fresh.due(WIDTH) => batch,
                batch = self.failed.due(WIDTH) => batch,
            };
            let each = |item: T| async {
                match work(item.clone()).await {
                    Ok(()) => self.settle(),
                    Err(error) => {
                        tracing::debug!(error = &error as &dyn std::error::Error, "again later");
                        self.keep(&self.failed, item);
                    }
                }
            };
            stream::iter(batch).for_each_concurrent(WIDTH, each).await;
        }
    }

    fn keep(&self, line: &DelayLine<T>, item: T) {
        if !line.push(item) {
            metrics::counter!(Metric::CallWorkDropped.name()).increment(1);
            self.settle();
        }
    }

    fn settle(&self) {
        if self.n_open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.done.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_done_again() {
        let lane = Lane::new();
        lane.push(1);
        lane.push(2);
        let done = Mutex::new(Vec::new());

        let run = lane.run(|item| {
            let is_first = !done.lock().contains(&item);
            done.lock().push(item);
            async move {
                if item == 1 && is_first {
                    return Err(ChatError::Internal("not yet".into()));
                }
                Ok(())
            }
        });
        tokio::select! {
            () = run => {}
            () = lane.settled() => {}
        }

        assert_eq!(*done.lock(), [1, 2, 1]);
    }
}
