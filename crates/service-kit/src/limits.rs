//! How much somebody may ask for: token buckets, fed with time, by themselves or one for each key.
//!
//! It decides and counts; what is refused, and in which words, is the services'.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use serde::Deserialize;

/// A rate with an allowance for bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RateEntry")]
pub struct Rate {
    /// Microseconds for which one event uses the bucket.
    interval_us: u64,
    /// Microseconds of use that may be ahead of time.
    allowance_us: u64,
}

/// A rate as the apps file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateEntry {
    per_second: Option<u32>,
    per_minute: Option<u32>,
    burst: Option<u32>,
}

impl TryFrom<RateEntry> for Rate {
    type Error = &'static str;

    fn try_from(entry: RateEntry) -> Result<Self, Self::Error> {
        let (events, period) = match (entry.per_second, entry.per_minute) {
            (Some(events @ 1..), None) => (events, Duration::from_secs(1)),
            (None, Some(events @ 1..)) => (events, Duration::from_mins(1)),
            _ => return Err("a rate has either per_second or per_minute, of 1 or more"),
        };
        Ok(Self::of(events, period, entry.burst.unwrap_or(events)))
    }
}

impl Rate {
    /// Makes a rate of `per_second` events after a burst of `burst` at once. Zero counts as one.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self::of(per_second, Duration::from_secs(1), burst)
    }

    /// Makes a rate of `events` in each `period` after a burst of `burst` at once. Zero counts as one.
    #[must_use]
    pub fn of(events: u32, period: Duration, burst: u32) -> Self {
        let interval_us = (micros(period) / u64::from(events.max(1))).max(1);
        Self {
            interval_us,
            allowance_us: interval_us * u64::from(burst.max(1) - 1),
        }
    }
}

/// One bucket, as the moment at which it is empty again (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    empty_at_us: u64,
}

impl Bucket {
    /// Takes one event at `now`, the time since any fixed moment.
    ///
    /// # Errors
    ///
    /// Returns in how much time it would be taken.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.check(rate, now)?;
        self.empty_at_us = self.empty_at_us.max(micros(now)) + rate.interval_us;
        Ok(())
    }

    fn check(self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let ahead_us = self.empty_at_us.saturating_sub(micros(now));
        match ahead_us.checked_sub(rate.allowance_us) {
            Some(after_us @ 1..) => Err(Duration::from_micros(after_us)),
            _ => Ok(()),
        }
    }

    fn charge(&mut self, used_us: u64, now_us: u64) {
        let most = now_us + micros(MAX_CHARGE);
        self.empty_at_us = self
            .empty_at_us
            .max(now_us)
            .saturating_add(used_us)
            .min(most);
    }
}

/// What others used can refuse somebody for so long at most.
const MAX_CHARGE: Duration = Duration::from_mins(2);
/// Parts of a meter, each with a lock of its own.
const PARTS: usize = 16;
/// Keys of one part. Who does not fit in is not counted: the service stays open.
const MAX_KEYS: usize = 16_384;
/// Use is told when it is this part of what a burst may use.
const TOLD_FRACTION: u64 = 8;
/// The most keys that are told at once.
const MAX_TOLD: usize = 1_024;

/// Buckets by key: users, or addresses. Several processes share them loosely: each tells the others
/// what was used with it, once that is a fraction of a burst, and charges what it is told.
#[derive(Debug, Default)]
pub struct Meter {
    parts: [Mutex<HashMap<u64, Use>>; PARTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Use {
    bucket: Bucket,
    untold_us: u64,
    /// From how much on it is told.
    tell_us: u64,
}

/// How much of the time of a key's bucket was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The key.
    pub key: u64,
    /// The time, in microseconds.
    pub micros: u64,
}

impl Meter {
    /// Takes one event of `key` at `now`, the time since a moment that is the same for all calls.
    ///
    /// # Errors
    ///
    /// Returns in how much time it would be taken.
    pub fn take(&self, key: u64, rate: Rate, now: Duration) -> Result<(), Duration> {
        let mut part = self.part(key).lock();
        if MAX_KEYS <= part.len() && !part.contains_key(&key) {
            return Ok(());
        }
        let used = part.entry(key).or_default();
        used.bucket.take(rate, now)?;
        used.untold_us += rate.interval_us;
        used.tell_us = rate.allowance_us / TOLD_FRACTION;
        Ok(())
    }

    /// Says whether an event of `key` would be taken.
    ///
    /// # Errors
    ///
    /// Returns in how much time it would be.
    pub fn check(&self, key: u64, rate: Rate, now: Duration) -> Result<(), Duration> {
        let bucket = self.part(key).lock().get(&key).map(|used| used.bucket);
        bucket.unwrap_or_default().check(rate, now)
    }

    /// Charges what was used elsewhere.
    pub fn charge(&self, used: Used, now: Duration) {
        let mut part = self.part(used.key).lock();
        if part.len() < MAX_KEYS || part.contains_key(&used.key) {
            let entry = part.entry(used.key).or_default();
            entry.bucket.charge(used.micros, micros(now));
        }
    }

    /// Returns what the others are to charge, and forgets who has used nothing lately. Due about once
    /// a second.
    #[must_use]
    pub fn tell(&self, now: Duration) -> Vec<Used> {
        let now_us = micros(now);
        let mut told = Vec::new();
        for part in &self.parts {
            part.lock().retain(|key, used| {
                if used.tell_us < used.untold_us && told.len() < MAX_TOLD {
                    told.push(Used {
                        key: *key,
                        micros: std::mem::take(&mut used.untold_us),
                    });
                }
                now_us < used.bucket.empty_at_us
            });
        }
        told
    }

    #[expect(clippy::indexing_slicing, reason = "an index modulo the length")]
    fn part(&self, key: u64) -> &Mutex<HashMap<u64, Use>> {
        let [first, ..] = key.to_be_bytes();
        &self.parts[usize::from(first) % PARTS]
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_hours(1);

    #[test]
    fn what_one_process_used_counts_at_the_others() {
        let (one, other) = (Meter::default(), Meter::default());
        let rate = Rate::of(60, Duration::from_mins(1), 60);
        for _ in 0..60 {
            assert_eq!(one.take(7, rate, START), Ok(()));
        }
        let told = one.tell(START);
        assert_eq!(told.len(), 1);
        assert!(one.tell(START).is_empty(), "each use is told once");

        other.charge(told[0], START);

        assert_eq!(other.take(7, rate, START), Err(Duration::from_secs(1)));
        assert_eq!(other.take(8, rate, START), Ok(()));
        assert_eq!(other.take(7, rate, START + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn whoever_looks_uses_nothing() {
        let meter = Meter::default();
        let rate = Rate::of(1, Duration::from_mins(1), 1);
        assert_eq!(meter.check(7, rate, START), Ok(()));
        assert_eq!(meter.take(7, rate, START), Ok(()));

        let a_minute = Duration::from_mins(1);
        assert_eq!(meter.check(7, rate, START), Err(a_minute));
        assert_eq!(meter.check(8, rate, START), Ok(()));
        assert_eq!(meter.check(7, rate, START + a_minute), Ok(()));
    }

    #[test]
    fn little_use_is_not_told() {
        let meter = Meter::default();
        let rate = Rate::new(1, 80);
        for second in 0..9 {
            assert_eq!(
                meter.take(7, rate, START + Duration::from_secs(second)),
                Ok(())
            );
        }
        assert!(meter.tell(START).is_empty());

        assert_eq!(meter.take(7, rate, START + Duration::from_secs(9)), Ok(()));

        assert_eq!(meter.tell(START).len(), 1, "it adds up");
    }

    #[test]
    fn a_charge_is_no_ban() {
        let meter = Meter::default();
        let (key, micros) = (7, u64::MAX);
        meter.charge(Used { key, micros }, START);

        assert!(meter.take(7, Rate::new(1, 1), START).is_err());
        assert_eq!(meter.take(7, Rate::new(1, 1), START + MAX_CHARGE), Ok(()));
    }

    #[test]
    fn who_is_idle_is_forgotten_and_who_does_not_fit_passes() {
        let meter = Meter::default();
        let rate = Rate::new(1, 1);
        for key in 0..=MAX_KEYS as u64 {
            assert_eq!(meter.take(key, rate, START), Ok(()));
        }
        let last = MAX_KEYS as u64;
        assert_eq!(meter.take(last, rate, START), Ok(()), "it was not counted");
        assert!(meter.take(0, rate, START).is_err());

        let _ = meter.tell(START + Duration::from_secs(1));

        assert!(meter.parts.iter().all(|part| part.lock().is_empty()));
    }

    #[test]
    fn a_rate_reads_in_seconds_or_minutes() {
        let read = |text: &str| toml::from_str::<Rate>(text).ok();

        assert_eq!(read("per_second = 5"), Some(Rate::new(5, 5)));
        let per_minute = Rate::of(6, Duration::from_mins(1), 2);
        assert_eq!(read("per_minute = 6\nburst = 2"), Some(per_minute));
        for bad in [
            "",
            "per_second = 0",
            "per_second = 1\nper_minute = 1",
            "x = 1",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
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
                taken += u64::from(bucket.take(rate, Duration::from_micros(now_us)).is_ok());
                let most = u64::from(burst) + now_us / rate.interval_us;
                prop_assert!(taken <= most);
            }
        }

        #[test]
        fn the_promised_moment_is_kept(burst in 1_u32..50, now_us in 1_u64..1_000_000) {
            let rate = Rate::new(7, burst);
            let now = Duration::from_micros(now_us);
            let mut bucket = Bucket::default();
            let after = loop {
                if let Err(after) = bucket.take(rate, now) {
                    break after;
                }
            };
            let too_early = now + Duration::from_micros(micros(after) - 1);
            prop_assert!(bucket.take(rate, too_early).is_err());
            prop_assert!(bucket.take(rate, now + after).is_ok());
        }
    }
}
