//! How much users and addresses may ask for, whatever sockets they have at whatever gateway; and who
//! kept on after refusals, and rests.
//!
//! Each gateway counts by itself, so nothing waits for another one, and tells the others once a second
//! what was used: whoever spreads over gateways gets little more than the rate. When the broker is
//! away, each allows the whole rate. Not here: what one socket may ask for ([`crate::limits`]).

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use chat_proto::{subject, v1};
use prost::Message as _;
use service_kit::limits::{Meter, Rate, Used};

use crate::{ports::Publisher, registry::UserKey};

/// How often the others are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Messages,
    Calls,
    Handshakes,
    Floods,
}

/// How long a user does not connect who kept on after refusals.
pub const REST: Duration = Duration::from_mins(1);

/// Counts at this gateway, and what others counted.
pub struct Quotas {
    meter: Meter,
    handshakes: Rate,
    publisher: Arc<dyn Publisher>,
    /// This process, in what it tells.
    replica: u64,
    started: Instant,
}

impl Quotas {
    /// Begins to count. An address may make so many `handshakes`.
    #[must_use]
    pub fn new(handshakes: Rate, publisher: Arc<dyn Publisher>, replica: u64) -> Self {
        Self {
            meter: Meter::default(),
            handshakes,
            publisher,
            replica,
            started: Instant::now(),
        }
    }

    /// Counts a message of a user.
    ///
    /// # Errors
    ///
    /// Returns in how much time the user may send one.
    pub fn message(&self, user: &UserKey, rate: Rate) -> Result<(), Duration> {
        self.take(key_of_user(Kind::Messages, user), rate)
    }

    /// Counts a call that a user begins.
    ///
    /// # Errors
    ///
    /// Returns in how much time the user may begin one.
    pub fn call(&self, user: &UserKey, rate: Rate) -> Result<(), Duration> {
        self.take(key_of_user(Kind::Calls, user), rate)
    }

    /// Has a user rest for [`REST`] who kept on after refusals.
    pub fn flooded(&self, user: &UserKey) {
        // Whoever rests already rests no longer for another socket.
        let _ = self.take(key_of_user(Kind::Floods, user), Self::floods());
    }

    /// Says whether a user may connect.
    ///
    /// # Errors
    ///
    /// Returns in how much time the user may.
    pub fn rested(&self, user: &UserKey) -> Result<(), Duration> {
        let key = key_of_user(Kind::Floods, user);
        self.meter.check(key, Self::floods(), self.now())
    }

    fn floods() -> Rate {
        Rate::of(1, REST, 1)
    }

    /// Counts a client that connects from an address. Of IPv6, those of a subscriber are one.
    ///
    /// # Errors
    ///
    /// Returns in how much time one may.
    pub fn handshake(&self, address: IpAddr) -> Result<(), Duration> {
        let key = match address.to_canonical() {
            IpAddr::V4(address) => key(Kind::Handshakes, &address.octets()),
            IpAddr::V6(address) => {
                let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
                key(Kind::Handshakes, &network)
            }
        };
        self.take(key, self.handshakes)
    }

    /// Hears what was used at another gateway. What means nothing is dropped.
    pub fn used_elsewhere(&self, payload: Bytes) {
        let Ok(used) = v1::Used::decode(payload) else {
            return;
        };
        if used.replica == self.replica {
            return;
        }
        for v1::UsedKey { key, micros } in used.keys {
            self.meter.charge(Used { key, micros }, self.now());
        }
    }

    /// Tells the others. Runs until dropped.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        loop {
            ticks.tick().await;
            let told = self.meter.tell(self.now());
            if told.is_empty() {
                continue;
            }
            let keys = told.into_iter();
            let used = v1::Used {
                replica: self.replica,
                keys: keys
                    .map(|Used { key, micros }| v1::UsedKey { key, micros })
                    .collect(),
            };
            let payload = Bytes::from(used.encode_to_vec());
            self.publisher.publish(subject::USED.to_owned(), payload);
        }
    }

    fn take(&self, key: u64, rate: Rate) -> Result<(), Duration> {
        self.meter.take(key, rate, self.now())
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl std::fmt::Debug for Quotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quotas").finish_non_exhaustive()
    }
}

fn key_of_user(kind: Kind, user: &UserKey) -> u64 {
    let text = format!("{}\0{}", user.app, user.user);
    key(kind, text.as_bytes())
}

/// The same at all gateways, and nobody can choose what has another one's key.
fn key(kind: Kind, whose: &[u8]) -> u64 {
    let kind: &[u8] = match kind {
        Kind::Messages => b"messages\0",
        Kind::Calls => b"calls\0",
        Kind::Handshakes => b"handshakes\0",
        Kind::Floods => b"floods\0",
    };
    let digest = digest(&SHA256, &[kind, whose].concat());
    let first = digest.as_ref().first_chunk().copied();
    u64::from_be_bytes(first.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Publisher for Nobody {
        fn publish(&self, _subject: String, _payload: Bytes) {}
    }

    fn quotas(handshakes: u32) -> Quotas {
        let rate = Rate::of(1, Duration::from_hours(1), handshakes);
        Quotas::new(rate, Arc::new(Nobody), 1)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_subscriber_is_one_however_it_is_written() {
        let quotas = quotas(1);

        for (first, again) in [
            ("203.0.113.7", "::ffff:203.0.113.7"),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ] {
            assert_eq!(quotas.handshake(address(first)), Ok(()));
            assert!(quotas.handshake(address(again)).is_err(), "{again}");
        }
        assert_eq!(quotas.handshake(address("2001:db8:0:2::1")), Ok(()));
        assert_eq!(quotas.handshake(address("203.0.113.8")), Ok(()));
    }

    #[test]
    fn one_does_not_hear_itself_nor_what_means_nothing() {
        let quotas = quotas(1);
        let key = key(Kind::Handshakes, &[203, 0, 113, 7]);
        let told = |replica| {
            let micros = u64::MAX;
            let keys = vec![v1::UsedKey { key, micros }];
            Bytes::from(v1::Used { replica, keys }.encode_to_vec())
        };

        quotas.used_elsewhere(Bytes::from_static(b"\xff\xff"));
        quotas.used_elsewhere(told(1));
        assert_eq!(quotas.handshake(address("203.0.113.7")), Ok(()));
        quotas.used_elsewhere(told(2));
        assert!(quotas.handshake(address("203.0.113.7")).is_err());
    }
}
