//! What a run has seen so far, by the second and as a whole.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::latency::quantile;

/// The longest time that is told apart from longer ones.
const MAX_MICROS: u64 = 600_000_000;

/// What happened, as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    /// A socket is in; it took so long.
    Connected(Duration),
    /// One could not be connected.
    Failed,
    /// A connection was lost and is back, with everything or without.
    Back {
        away: Duration,
        is_recovered: bool,
    },
    Sent,
    /// A message was confirmed, so long after it was due.
    Confirmed(Duration),
    /// The other side heard it.
    Heard(Duration),
    /// A call rang at the other side, so long after it was begun.
    Rang(Duration),
    /// A call did not ring, or did not end.
    CallFailed,
}

/// Counts of one second, or of all.
#[derive(Default)]
struct Counts {
    n_connected: u64,
    n_failed: u64,
    n_lost: u64,
    n_recovered: u64,
    n_sent: u64,
    n_calls: u64,
    n_calls_failed: u64,
    connect: Times,
    away: Times,
    confirm: Times,
    hear: Times,
    ring: Times,
}

/// Times in microseconds. Most seconds have none of most kinds.
#[derive(Default)]
struct Times(Option<Box<Histogram<u64>>>);

impl Times {
    fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(MAX_MICROS);
        if self.0.is_none() {
            // Never: the bounds are right.
            self.0 = Histogram::new_with_max(MAX_MICROS, 2).ok().map(Box::new);
        }
        if let Some(times) = &mut self.0 {
            times.saturating_record(micros);
        }
    }

    fn n(&self) -> u64 {
        self.0.as_ref().map_or(0, |times| times.len())
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let times = self.0.as_ref()?;
        let at = |share| quantile(times, share);
        Some(Quantiles {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        })
    }
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// One second of the run; times are `None` where nothing happened.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Second {
    pub(crate) sent: u64,
    pub(crate) confirmed: u64,
    pub(crate) heard: u64,
    pub(crate) confirmed_ms: Option<Quantiles>,
    pub(crate) heard_ms: Option<Quantiles>,
    pub(crate) connections_lost: u64,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Totals {
    pub(crate) connected: u64,
    pub(crate) connections_failed: u64,
    pub(crate) connections_lost: u64,
    pub(crate) recovered: u64,
    pub(crate) connect_ms: Option<Quantiles>,
    pub(crate) away_ms: Option<Quantiles>,
    pub(crate) sent: u64,
    pub(crate) confirmed: u64,
    pub(crate) heard: u64,
    pub(crate) confirmed_ms: Option<Quantiles>,
    pub(crate) heard_ms: Option<Quantiles>,
    pub(crate) calls: u64,
    pub(crate) calls_failed: u64,
    pub(crate) ring_ms: Option<Quantiles>,
    /// Refusals, by the code of the `error` event.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// The log of a run, which all its clients write.
pub(crate) struct Log {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    seconds: Vec<Counts>,
    all: Counts,
    errors: BTreeMap<String, u64>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            inner: Mutex::default(),
        }
    }

    /// Returns when the run began: all moments are counted from there.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn note(&self, seen: Seen) {
        let second = usize::try_from(self.started.elapsed().as_secs()).unwrap_or(usize::MAX);
        self.with(|inner| {
            if inner.seconds.len() <= second {
                inner.seconds.resize_with(second + 1, Counts::default);
            }
            for counts in inner
                .seconds
                .get_mut(second)
                .into_iter()
                .chain([&mut inner.all])
            {
                counts.note(seen);
            }
        });
    }

    /// Notes a refusal.
    pub(crate) fn refused(&self, code: &str) {
        self.with(|inner| *inner.errors.entry(code.to_owned()).or_default() += 1);
    }

    /// Returns every second so far; the last is not over.
    pub(crate) fn seconds(&self) -> Vec<Second> {
        self.with(|inner| inner.seconds.iter().map(Counts::second).collect())
    }

    /// Returns everything so far.
    pub(crate) fn totals(&self) -> Totals {
        self.with(|inner| inner.all.totals(inner.errors.clone()))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        let inner = self.inner.lock();
        look(&mut inner.unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Counts {
    fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Connected(after) => {
                self.n_connected += 1;
                self.connect.record(after);
            }
            Seen::Failed => self.n_failed += 1,
            Seen::Back { away, is_recovered } => {
                self.n_lost += 1;
                self.n_recovered += u64::from(is_recovered);
                self.away.record(away);
            }
            Seen::Sent => self.n_sent += 1,
            Seen::Confirmed(after) => self.confirm.record(after),
            Seen::Heard(after) => self.hear.record(after),
            Seen::Rang(after) => {
                self.n_calls += 1;
                self.ring.record(after);
            }
            Seen::CallFailed => {
                self.n_calls += 1;
                self.n_calls_failed += 1;
            }
        }
    }

    fn second(&self) -> Second {
        Second {
            sent: self.n_sent,
            confirmed: self.confirm.n(),
            heard: self.hear.n(),
            confirmed_ms: self.confirm.quantiles(),
            heard_ms: self.hear.quantiles(),
            connections_lost: self.n_lost,
        }
    }

    fn totals(&self, errors: BTreeMap<String, u64>) -> Totals {
        Totals {
            connected: self.n_connected,
            connections_failed: self.n_failed,
            connections_lost: self.n_lost,
            recovered: self.n_recovered,
            connect_ms: self.connect.quantiles(),
            away_ms: self.away.quantiles(),
            sent: self.n_sent,
            confirmed: self.confirm.n(),
            heard: self.hear.n(),
            confirmed_ms: self.confirm.quantiles(),
            heard_ms: self.hear.quantiles(),
            calls: self.n_calls,
            calls_failed: self.n_calls_failed,
            ring_ms: self.ring.quantiles(),
            errors,
        }
    }
}
