//! Tells sockets who came, went or changed its status.
//!
//! The stores decide that, and whom it concerns; devices of this gateway are announced by
//! [`calls`](crate::calls). What comes twice or late is dropped here.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use chat_domain::{Presence, Timestamp, UserId};
use chat_proto::{WireError, v1};
use dialects::Fact;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::{
    registry::{Registry, UserKey},
    transport::Class,
    wire,
};

/// How many pairs of a user and somebody it hears of are remembered at least; twice as many at most.
const REMEMBERED: usize = 32_768;

/// The presence of others, as it comes in.
pub struct PresenceFeed {
    registry: Arc<Registry>,
    hasher: RandomState,
    told: Mutex<Told>,
}

impl std::fmt::Debug for PresenceFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresenceFeed").finish_non_exhaustive()
    }
}

impl PresenceFeed {
    /// Tells those who are in `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            hasher: RandomState::new(),
            told: Mutex::default(),
        }
    }

    /// Tells a user's sockets of somebody, unless they heard that or something later.
    ///
    /// # Errors
    ///
    /// Returns [`WireError`] for what means nothing.
    pub fn changed(&self, user: &UserKey, changed: v1::PresenceChanged) -> Result<(), WireError> {
        let name = changed.name.clone();
        let (about, presence, at) = <(UserId, Presence, Timestamp)>::try_from(changed)?;
        let pair = self.hasher.hash_one((user, &about));
        if !self.told.lock().is_news(pair, at, REMEMBERED) {
            return Ok(());
        }
        let fact = Fact::Presence {
            user: &about,
            name: name.as_deref(),
            presence,
            at,
        };
        let sockets = self.registry.sockets(user);
        let Some(first) = sockets.first() else {
            return Ok(());
        };
        for frame in wire::frames(first.session().terms(), &fact) {
            for socket in sockets.iter() {
                wire::send(socket, &frame, Class::Ephemeral);
            }
        }
        Ok(())
    }
}

/// The times of what was told lately. Older halves go as a whole.
#[derive(Debug, Default)]
struct Told {
    young: HashMap<u64, Timestamp>,
    old: HashMap<u64, Timestamp>,
}

impl Told {
    /// Tells whether something is later than what was told of the pair, and remembers it.
    fn is_news(&mut self, pair: u64, at: Timestamp, remembered: usize) -> bool {
        let last = self.young.get(&pair).or_else(|| self.old.get(&pair));
        if last.is_some_and(|last| at <= *last) {
            return false;
        }
        if remembered <= self.young.len() {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(pair, at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_or_late_is_no_news() {
        let mut told = Told::default();

        assert!(told.is_news(1, Timestamp(5), 8));
        assert!(!told.is_news(1, Timestamp(5), 8));
        assert!(!told.is_news(1, Timestamp(4), 8));
        assert!(told.is_news(2, Timestamp(4), 8));
        assert!(told.is_news(1, Timestamp(6), 8));
    }

    #[test]
    fn the_last_ones_are_remembered_and_no_more_than_twice_as_many() {
        let mut told = Told::default();

        for pair in 0..100 {
            assert!(told.is_news(pair, Timestamp(1), 8));
            assert!(told.young.len() + told.old.len() <= 16);
        }
        for pair in 93..100 {
            assert!(!told.is_news(pair, Timestamp(1), 8), "{pair}");
        }
    }
}
