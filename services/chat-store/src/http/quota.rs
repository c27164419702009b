//! How much REST a user may ask of this store.
//!
//! Not here: what somebody without a good token may do, which is to be refused.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use chat_domain::ChatError;
use service_kit::{
    auth::Principal,
    limits::{Meter, Rate},
};

/// How often those are forgotten who ask for nothing.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Counts the requests of users.
pub(super) struct Quota {
    meter: Meter,
    hasher: RandomState,
    rate: Rate,
    started: Instant,
    forgot: parking_lot::Mutex<Duration>,
}

impl Quota {
    /// Begins to count; `rate` is that of a user whose app has none.
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            meter: Meter::default(),
            hasher: RandomState::new(),
            rate,
            started: Instant::now(),
            forgot: parking_lot::Mutex::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::RateLimited`] for one too many.
    pub(super) fn take(&self, principal: &Principal) -> Result<(), ChatError> {
        let now = self.started.elapsed();
        self.forget(now);
        let app = &principal.app;
        let rate = app.policy.limits.user_requests.unwrap_or(self.rate);
        let key = (app.id.as_str(), principal.user.id.as_str());
        let taken = self.meter.take(self.hasher.hash_one(key), rate, now);
        taken.map_err(ChatError::rate_limited)
    }

    fn forget(&self, now: Duration) {
        let Some(mut forgot) = self.forgot.try_lock() else {
            return;
        };
        if *forgot + FORGET_EVERY <= now {
            *forgot = now;
            // Stores tell each other nothing: what counts across replicas goes through gateways.
            let _ = self.meter.tell(now);
        }
    }
}
