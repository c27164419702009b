//! How much one socket may ask for: token buckets by class, fed with time.
//!
//! Not here: limits of size (the transport's and the domain's) and of sockets (the registry's).

use std::time::Duration;

/// What an event counts as. Each class has its own bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A message to store.
    Message,
    /// A typing signal.
    Typing,
    /// Anything else, also what nobody knows.
    Other,
}

/// A rate with an allowance for bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds for which one event uses the bucket.
    interval_us: u64,
    /// Microseconds of use that may be ahead of time.
    allowance_us: u64,
}

impl Rate {
    /// Makes a rate of `per_second` events after a burst of `burst` at once. Zero counts as one.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval_us = 1_000_000 / u64::from(per_second.max(1));
        Self {
            interval_us,
            allowance_us: interval_us * u64::from(burst.max(1) - 1),
        }
    }
}

/// The rates of every class.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "named after the classes")]
pub struct Rates {
    pub messages: Rate,
    pub typing: Rate,
    pub others: Rate,
    /// Refusals that are borne; a client that is refused more often has to go.
    pub refusals: Rate,
}

/// Why an event is not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// Once may happen: the client is told when to try again.
    Retry {
        /// After how long an event of the class is taken again.
        after: Duration,
    },
    /// The client keeps on: it is disconnected.
    Disconnect,
}

/// One bucket, as the moment at which it is empty again (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    empty_at_us: u64,
}

impl Bucket {
    /// Takes one event at `now_us`, or tells in how many microseconds it would be taken.
    fn take(&mut self, rate: Rate, now_us: u64) -> Result<(), u64> {
        let ahead_us = self.empty_at_us.saturating_sub(now_us);
        if rate.allowance_us < ahead_us {
            return Err(ahead_us - rate.allowance_us);
        }
        self.empty_at_us = now_us + ahead_us + rate.interval_us;
        Ok(())
    }
}

/// The buckets of one socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Buckets {
    messages: Bucket,
    typing: Bucket,
    others: Bucket,
    refusals: Bucket,
}

impl Buckets {
    /// Counts one event at `now`, the time since any fixed moment.
    ///
    /// # Errors
    ///
    /// Returns [`Exceeded`] when the event may not be handled.
    pub fn take(&mut self, class: Class, rates: &Rates, now: Duration) -> Result<(), Exceeded> {
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let (bucket, rate) = match class {
            Class::Message => (&mut self.messages, rates.messages),
            Class::Typing => (&mut self.typing, rates.typing),
            Class::Other => (&mut self.others, rates.others),
        };
        let Err(after_us) = bucket.take(rate, now_us) else {
            return Ok(());
        };
        match self.refusals.take(rates.refusals, now_us) {
            Ok(()) => Err(Exceeded::Retry {
                after: Duration::from_micros(after_us),
            }),
            Err(_) => Err(Exceeded::Disconnect),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        Rates {
            messages: Rate::new(10, 3),
            typing: Rate::new(5, 1),
            others: Rate::new(20, 2),
            refusals: Rate::new(1, 4),
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut buckets = Buckets::default();
        let mut take = |ms| buckets.take(Class::Message, &rates(), Duration::from_millis(ms));

        for _ in 0..3 {
            assert_eq!(take(0), Ok(()));
        }
        let after = Duration::from_millis(100);
        assert_eq!(take(0), Err(Exceeded::Retry { after }));
        assert_eq!(take(100), Ok(()));
        assert!(take(101).is_err());
    }

    #[test]
    fn classes_do_not_share() {
        let mut buckets = Buckets::default();
        let mut take = |class| buckets.take(class, &rates(), Duration::ZERO);

        assert_eq!(take(Class::Typing), Ok(()));
        assert!(take(Class::Typing).is_err());
        assert_eq!(take(Class::Message), Ok(()));
        assert_eq!(take(Class::Other), Ok(()));
    }

    #[test]
    fn who_keeps_on_has_to_go() {
        let mut buckets = Buckets::default();
        let mut take = || buckets.take(Class::Typing, &rates(), Duration::ZERO);

        assert_eq!(take(), Ok(()));
        for _ in 0..4 {
            assert!(matches!(take(), Err(Exceeded::Retry { .. })));
        }
        assert_eq!(take(), Err(Exceeded::Disconnect));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_exceeds_burst_and_rate(
            steps_us in prop::collection::vec(0_u64..300_000, 1..200),
            per_second in 1_u32..100,
            burst in 1_u32..50,
        ) {
            let rate = Rate::new(per_second, burst);
            let mut bucket = Bucket::default();
            let mut now_us = 0;
            let mut taken = 0_u64;
            for step_us in steps_us {
                now_us += step_us;
                taken += u64::from(bucket.take(rate, now_us).is_ok());
                let most = u64::from(burst) + now_us / rate.interval_us;
                prop_assert!(taken <= most);
            }
        }

        #[test]
        fn the_promised_moment_is_kept(burst in 1_u32..50, now_us in 0_u64..1_000_000) {
            let rate = Rate::new(7, burst);
            let mut bucket = Bucket::default();
            let after_us = loop {
                if let Err(after_us) = bucket.take(rate, now_us) {
                    break after_us;
                }
            };
            prop_assert!(bucket.take(rate, now_us + after_us - 1).is_err());
            prop_assert!(bucket.take(rate, now_us + after_us).is_ok());
        }
    }
}
