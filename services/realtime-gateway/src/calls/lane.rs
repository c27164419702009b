//! Work that is done until it succeeds, a little of it at once.

use std::time::Duration;

use chat_domain::ChatError;
use futures_util::{StreamExt as _, stream};

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
}

impl<T: Clone + Send> Lane<T> {
    pub(super) const fn new() -> Self {
        Self {
            fresh: DelayLine::new(Duration::ZERO, CAPACITY),
            failed: DelayLine::new(AGAIN, CAPACITY),
        }
    }

    pub(super) fn push(&self, item: T) {
        keep(&self.fresh, item);
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
                if let Err(error) = work(item.clone()).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "again later");
                    keep(&self.failed, item);
                }
            };
            stream::iter(batch).for_each_concurrent(WIDTH, each).await;
        }
    }
}

fn keep<T>(line: &DelayLine<T>, item: T) {
    if !line.push(item) {
        metrics::counter!(Metric::CallWorkDropped.name()).increment(1);
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
        let ended = tokio::time::timeout(AGAIN * 3, run).await;

        assert!(ended.is_err());
        assert_eq!(*done.lock(), [1, 2, 1]);
    }
}
