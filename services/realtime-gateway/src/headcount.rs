//! How many sockets a user has, at all gateways together.
//!
//! A gateway that gets another socket of a user says which ones it has, on the user's own subject; those
//! that have some, too, answer with theirs, and each sends away those of its own that are too many: the
//! oldest of all, as far as the gateways' clocks agree. Whoever knows of fewer sockets than there are
//! sends no other away than whoever knows of all. When the broker is away, each gateway allows the whole
//! number (the registry's); it is looked at again with the user's next socket. Not here: how much these
//! sockets may ask for ([`crate::quotas`]).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{ChatError, Timestamp};
use chat_proto::{subject, v1};
use dialects::{Fact, Failure};
use parking_lot::Mutex;
use prost::Message as _;

use crate::{
    metrics::Metric,
    ports::Publisher,
    registry::{Registry, UserKey},
    session::ChatSocket,
    wire,
};

/// For how long it counts what another gateway said: everybody says it anew when a socket comes.
const FRESH: Duration = Duration::from_secs(2);
/// Of how many users it is remembered what others said. Who does not fit is counted at each gateway
/// alone: a limit is never what takes the service down.
const MAX_USERS: usize = 16_384;
/// The most gateways that are heard of one user, and the most sockets of each.
const MAX_HEARD: usize = 64;

/// A socket, as gateways tell each other of it: what is less is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    began: Timestamp,
    replica: u64,
    number: u64,
}

/// What another gateway said of a user.
struct Heard {
    replica: u64,
    at: Instant,
    seats: Vec<Seat>,
}

/// Counts, and sends away. See the module.
pub struct Headcount {
    registry: Arc<Registry>,
    publisher: Arc<dyn Publisher>,
    /// This process, in what it tells.
    replica: u64,
    heard: Mutex<HashMap<UserKey, Vec<Heard>>>,
}

impl Headcount {
    /// Knows of nobody yet.
    #[must_use]
    pub fn new(registry: Arc<Registry>, publisher: Arc<dyn Publisher>, replica: u64) -> Self {
        Self {
            registry,
            publisher,
            replica,
            heard: Mutex::default(),
        }
    }

    /// Asks the other gateways which sockets they have of a user who got another one here.
    pub fn came(&self, user: &UserKey) {
        self.tell(user, true);
    }

    /// Notes that a socket of a user is gone here.
    pub fn went(&self, user: &UserKey) {
        if self.registry.sockets(user).is_empty() {
            self.heard.lock().remove(user);
        }
        self.tell(user, false);
    }

    /// Hears which sockets another gateway has of a user.
    pub fn told(&self, user: &UserKey, told: &v1::SocketsTold) {
        let own = self.own(user);
        if told.replica == self.replica || own.is_empty() {
            return;
        }
        if told.asks {
            self.tell(user, false);
        }
        let seats = told.sockets.iter().take(MAX_HEARD).map(|seat| Seat {
            began: Timestamp(seat.began_ms),
            replica: told.replica,
            number: seat.number,
        });
        let others = self.remember(user, told.replica, seats.collect());
        let sockets = self.registry.sockets(user);
        let Some(first) = sockets.first() else {
            return;
        };
        let most = self.registry.max_sockets(first.session().app());
        let surplus = surplus(&own, &others, most);
        for socket in sockets.iter() {
            if surplus.contains(&self.seat(socket)) {
                send_away(socket);
            }
        }
    }

    /// Returns what others said of the user lately.
    fn remember(&self, user: &UserKey, replica: u64, seats: Vec<Seat>) -> Vec<Seat> {
        let at = Instant::now();
        let is_fresh = |heard: &Heard| at.duration_since(heard.at) < FRESH;
        let mut all = self.heard.lock();
        if MAX_USERS <= all.len() {
            all.retain(|_, heard| heard.iter().any(is_fresh));
        }
        if MAX_USERS <= all.len() && !all.contains_key(user) {
            return seats;
        }
        let heard = all.entry(user.clone()).or_default();
        heard.retain(|other| other.replica != replica && is_fresh(other));
        heard.truncate(MAX_HEARD - 1);
        heard.push(Heard { replica, at, seats });
        heard.iter().flat_map(|other| other.seats.clone()).collect()
    }

    fn tell(&self, user: &UserKey, asks: bool) {
        let own = self.own(user);
        let told = v1::SocketsTold {
            replica: self.replica,
            asks,
            sockets: own
                .iter()
                .map(|seat| v1::Seat {
                    number: seat.number,
                    began_ms: seat.began.0,
                })
                .collect(),
        };
        let envelope = v1::Envelope {
            version: 1,
            app: user.app.as_str().to_owned(),
            targets: vec![user.user.as_str().to_owned()],
            body: Some(v1::envelope::Body::SocketsTold(told)),
            ..v1::Envelope::default()
        };
        let subject = subject::user(&user.app, &user.user);
        let payload = envelope.encode_to_vec().into();
        self.publisher.publish(subject, payload);
    }

    fn own(&self, user: &UserKey) -> Vec<Seat> {
        let sockets = self.registry.sockets(user);
        sockets.iter().map(|socket| self.seat(socket)).collect()
    }

    fn seat(&self, socket: &ChatSocket) -> Seat {
        Seat {
            began: socket.session().began(),
            replica: self.replica,
            number: socket.number(),
        }
    }
}

impl std::fmt::Debug for Headcount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Headcount").finish_non_exhaustive()
    }
}

/// Sends the client of a socket away that is one too many, and says why.
pub fn send_away(socket: &ChatSocket) {
    metrics::counter!(Metric::SocketsEvicted.name()).increment(1);
    let error = ChatError::rate_limited(Duration::from_mins(1));
    let failure = Failure::of(socket.session().dialect(), &error, None);
    wire::tell(socket, &Fact::Failed(&failure));
    // Not its transport: the client would come back and push out another one.
    socket.disconnect();
}

/// Returns those of `own` that have to go so that `most` are left of all.
fn surplus(own: &[Seat], others: &[Seat], most: usize) -> Vec<Seat> {
    let mut all = [own, others].concat();
    all.sort_unstable();
    all.truncate(all.len().saturating_sub(most));
    all.retain(|seat| own.contains(seat));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seat(replica: u64, began: i64) -> Seat {
        Seat {
            began: Timestamp(began),
            replica,
            number: began.unsigned_abs(),
        }
    }

    #[test]
    fn the_oldest_go_wherever_they_are() {
        let here = [seat(1, 10), seat(1, 40)];
        let there = [seat(2, 20), seat(2, 30)];

        assert_eq!(surplus(&here, &there, 4), []);
        assert_eq!(surplus(&here, &there, 3), [seat(1, 10)]);
        assert_eq!(surplus(&there, &here, 3), []);
        assert_eq!(surplus(&there, &here, 2), [seat(2, 20)]);
    }

    proptest! {
        #[test]
        fn who_knows_less_sends_no_other_away(
            began in prop::collection::hash_set(0_i64..100, 1..12),
            replicas in prop::collection::vec(1_u64..4, 12),
            most in 1_usize..6,
        ) {
            let seats = began.iter().zip(&replicas);
            let all: Vec<Seat> =
                seats.map(|(began, replica)| seat(*replica, *began)).collect();
            let (own, others): (Vec<Seat>, Vec<Seat>) =
                all.iter().copied().partition(|seat| seat.replica == 1);
            let some: Vec<Seat> = others.iter().copied().filter(|seat| seat.replica == 2).collect();

            let due = surplus(&own, &others, most);

            let early = surplus(&own, &some, most);
            prop_assert!(early.iter().all(|seat| due.contains(seat)));
            let gone = (1..4).map(|replica| {
                let (own, others): (Vec<Seat>, Vec<Seat>) =
                    all.iter().copied().partition(|seat| seat.replica == replica);
                surplus(&own, &others, most).len()
            });
            prop_assert_eq!(all.len() - gone.sum::<usize>(), all.len().min(most));
        }
    }
}
