//! Things to do a fixed while later: one queue and one task instead of a timer for each.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// A bounded queue whose items come out a fixed delay after they went in.
#[derive(Debug)]
pub struct DelayLine<T> {
    delay: Duration,
    capacity: usize,
    queue: Mutex<VecDeque<(Instant, T)>>,
    filled: Notify,
}

impl<T> DelayLine<T> {
    /// Makes a line that holds at most `capacity` items.
    #[must_use]
    pub const fn new(delay: Duration, capacity: usize) -> Self {
        Self {
            delay,
            capacity,
            queue: Mutex::new(VecDeque::new()),
            filled: Notify::const_new(),
        }
    }

    /// Puts an item in. Returns false, and drops it, when the line is full.
    pub fn push(&self, item: T) -> bool {
        let due = Instant::now() + self.delay;
        let mut queue = self.queue.lock();
        if self.capacity <= queue.len() {
            return false;
        }
        queue.push_back((due, item));
        if queue.len() == 1 {
            self.filled.notify_one();
        }
        true
    }

    /// Waits until something is due and takes it, at most `max` items. Dropping the future loses
    /// nothing.
    pub async fn due(&self, max: usize) -> Vec<T> {
        loop {
            let filled = self.filled.notified();
            let now = Instant::now();
            let first = {
                let mut queue = self.queue.lock();
                let n_due = queue
                    .iter()
                    .take_while(|(due, _)| *due <= now)
                    .take(max)
                    .count();
                if 0 < n_due {
                    return queue.drain(..n_due).map(|(_, item)| item).collect();
                }
                queue.front().map(|(due, _)| *due)
            };
            match first {
                Some(due) => tokio::time::sleep_until(due).await,
                None => filled.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn items_come_out_in_order_after_the_delay() {
        let line = DelayLine::new(Duration::from_secs(5), 10);
        line.push("a");
        line.push("b");
        tokio::time::advance(Duration::from_secs(1)).await;
        line.push("c");
        let start = Instant::now();

        assert_eq!(line.due(9).await, ["a", "b"]);
        assert_eq!(start.elapsed().as_secs(), 4);
        assert_eq!(line.due(9).await, ["c"]);
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_reader_is_woken() {
        let line = DelayLine::new(Duration::from_secs(1), 10);

        let (items, _) = tokio::join!(line.due(9), async { line.push(1) });

        assert_eq!(items, [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_taken_than_asked_for() {
        let line = DelayLine::new(Duration::ZERO, 10);
        for item in 0..3 {
            line.push(item);
        }

        assert_eq!(line.due(2).await, [0, 1]);
        assert_eq!(line.due(2).await, [2]);
    }

    #[tokio::test]
    async fn it_is_bounded() {
        let line = DelayLine::new(Duration::from_secs(1), 1);

        assert!(line.push(1));
        assert!(!line.push(2));
    }
}
