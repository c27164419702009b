//! How long something is waited for, in time that the process lives through.
//!
//! A process that was stopped wakes up late for everything at once, and what was sent to it
//! meanwhile is still unread: a single timer would give up before it looked. Knows nothing of what
//! waits.

use std::time::Duration;

use crate::delivery::DelayLine;

/// The parts of the wait, of which a pause of the process ends only one.
const PARTS: u8 = 4;
/// How long each of them is.
const PART: Duration = Duration::from_millis(500);
/// How many are looked at at once.
const BATCH: usize = 256;

/// What waits, each for two seconds.
#[derive(Debug)]
pub(super) struct Holds<T> {
    /// With the parts that are left.
    line: DelayLine<(T, u8)>,
}

impl<T> Holds<T> {
    /// Makes it for at most `capacity` items.
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            line: DelayLine::new(PART, capacity),
        }
    }

    /// Begins to hold an item. Returns false, and drops it, when there are too many.
    pub(super) fn push(&self, item: T) -> bool {
        self.line.push((item, PARTS))
    }

    /// Waits until some have waited long enough, and takes them. Dropping the future loses nothing.
    pub(super) async fn over(&self) -> Vec<T> {
        loop {
            let mut over = Vec::new();
            for (item, n_left) in self.line.due(BATCH).await {
                // There is room for what was taken out just now.
                if n_left == 1 {
                    over.push(item);
                } else {
                    self.line.push((item, n_left - 1));
                }
            }
            if !over.is_empty() {
                return over;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_over_after_all_parts() {
        let holds = Holds::new(1);
        let start = Instant::now();
        assert!(holds.push("a"));
        assert!(!holds.push("b"));

        assert_eq!(holds.over().await, ["a"]);

        assert_eq!(start.elapsed(), PART * u32::from(PARTS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_the_process_ends_one_part_alone() {
        let holds = Holds::new(1);
        holds.push("a");

        advance(Duration::from_mins(1)).await;
        let woken = Instant::now();

        assert_eq!(holds.over().now_or_never(), None);
        assert_eq!(holds.over().await, ["a"]);
        assert_eq!(woken.elapsed(), PART * u32::from(PARTS - 1));
    }
}
