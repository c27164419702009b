//! Who takes part in which conversation, remembered for a while.
//!
//! The two participants of a conversation never change; what else a conversation holds is not
//! trusted here. Memory is bounded by two generations: when the young one is full or old, it becomes
//! the old one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{
    AppId, ChatError, Conversation, ConversationId, Dialect, Place, Subject, SubjectId, UserId,
};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::{
    registry::UserKey,
    session::{Origin, Session},
    store::Store,
};

/// How many conversations a generation holds.
const CAPACITY: usize = 20_000;
/// How long a generation is young; what it holds lasts at most twice as long.
const LIFETIME: Duration = Duration::from_mins(5);
/// The same where the directory decides who may write, which it may do otherwise at any time.
const DIRECTORY_LIFETIME: Duration = Duration::from_secs(15);

/// Conversations by id, for the sake of their participants.
#[derive(Debug)]
pub struct Membership {
    store: Store,
    /// Those of which somebody knows the id: who took part may read for ever.
    by_id: Mutex<Generations>,
    /// Those found by a booking or a pair, which the directory may take apart.
    by_others: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    lifetime: Duration,
    young: HashMap<Key, Arc<Conversation>>,
    old: HashMap<Key, Arc<Conversation>>,
    since: Instant,
}

/// What a conversation is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Id(ConversationId),
    Booking(AppId, SubjectId),
    /// In order.
    Pair(AppId, [UserId; 2]),
}

impl Key {
    fn new(user: &UserKey, place: &Place) -> Self {
        match place {
            Place::Conversation(id) => Self::Id(*id),
            Place::Booking(booking) => Self::Booking(user.app.clone(), booking.clone()),
            Place::Peer(peer) => Self::pair(&user.app, [user.user.clone(), peer.clone()]),
        }
    }

    fn pair(app: &AppId, mut users: [UserId; 2]) -> Self {
        users.sort_unstable();
        Self::Pair(app.clone(), users)
    }

    fn of(conversation: &Conversation) -> Self {
        match &conversation.subject {
            Subject::Booking(booking) => Self::Booking(conversation.app.clone(), booking.clone()),
            Subject::Pair => {
                let [one, other] = &conversation.participants;
                Self::pair(&conversation.app, [one.user.clone(), other.user.clone()])
            }
        }
    }
}

impl Membership {
    /// Makes an empty one that asks `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            by_id: Mutex::new(Generations::new(LIFETIME)),
            by_others: Mutex::new(Generations::new(DIRECTORY_LIFETIME)),
        }
    }

    fn generations(&self, key: &Key) -> &Mutex<Generations> {
        match key {
            Key::Id(_) => &self.by_id,
            Key::Booking(..) | Key::Pair(..) => &self.by_others,
        }
    }

    /// Returns the conversation that a client means to one of its participants, who asks on the device
    /// `by`.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::NotParticipant`], or a failure of kind `Unauthorized`, `NotFound`,
    /// `Invalid` or `Unavailable`.
    pub async fn find(
        &self,
        session: &Session,
        place: &Place,
        by: Origin,
    ) -> Result<Arc<Conversation>, ChatError> {
        let user = session.key();
        let key = Key::new(&user, place);
        let known = self.generations(&key).lock().get(&key, Instant::now());
        let conversation = if let Some(conversation) = known {
            conversation
        } else {
            let found = match place {
                Place::Conversation(id) => {
                    self.store.conversation(&user, *id, by.to_wire()).await?
                }
                Place::Booking(_) | Place::Peer(_) => {
                    let (app, caller, device) = (&user.app, session.user(), by.to_wire());
                    let opened = self.store.open_conversation(app, caller, place, device);
                    opened.await?
                }
            };
            let conversation = Arc::new(found);
            self.insert(key, Arc::clone(&conversation));
            conversation
        };
        if conversation.app != user.app {
            return Err(ChatError::ConversationNotFound);
        }
        if conversation.participant(&user.user).is_none() {
            return Err(ChatError::NotParticipant);
        }
        Ok(conversation)
    }

    /// Remembers a conversation that came along.
    pub fn learn(&self, session: &Session, conversation: &Conversation) {
        let key = match session.dialect() {
            Dialect::Consult => Key::Id(conversation.id),
            Dialect::Care | Dialect::Clinic | Dialect::Booking => Key::of(conversation),
        };
        let is_known = self.generations(&key).lock().young.contains_key(&key);
        if !is_known {
            self.insert(key, Arc::new(conversation.clone()));
        }
    }

    fn insert(&self, key: Key, conversation: Arc<Conversation>) {
        let mut generations = self.generations(&key).lock();
        generations.turn(Instant::now());
        generations.young.insert(key, conversation);
    }
}

impl Generations {
    fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            young: HashMap::new(),
            old: HashMap::new(),
            since: Instant::now(),
        }
    }

    fn get(&mut self, key: &Key, now: Instant) -> Option<Arc<Conversation>> {
        self.turn(now);
        let known = self.young.get(key).or_else(|| self.old.get(key))?;
        Some(Arc::clone(known))
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if self.lifetime <= age || CAPACITY <= self.young.len() {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        if 2 * self.lifetime <= age {
            // Nobody asked in between: what was young then is older than it may be.
            self.old.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::{Participant, Role, Seq, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn conversation() -> Arc<Conversation> {
        let side = |name: &str, role| Participant::new(UserId::new(name).unwrap(), role);
        Arc::new(Conversation {
            id: ConversationId(Uuid::nil()),
            app: AppId::new("care").unwrap(),
            subject: Subject::Pair,
            participants: [side("doc", Role::Doctor), side("anna", Role::Patient)],
            last_seq: Seq(0),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        })
    }

    #[test]
    fn a_pair_is_found_by_either_and_forgotten_within_half_a_minute() {
        let pair = conversation();
        let key = Key::of(&pair);
        let mut generations = Generations::new(DIRECTORY_LIFETIME);
        let start = generations.since;
        let at = |seconds| start + Duration::from_secs(seconds);
        let anna = UserKey {
            app: pair.app.clone(),
            user: UserId::new("anna").unwrap(),
        };
        assert_eq!(
            Key::new(&anna, &Place::Peer(UserId::new("doc").unwrap())),
            key
        );

        // At the worst moment: a generation that has just begun, asked for all the time.
        generations.young.insert(key.clone(), pair);
        let found: Vec<bool> = (0..32)
            .map(|second| generations.get(&key, at(second)).is_some())
            .collect();

        assert!(found[..15].iter().all(|found| *found), "{found:?}");
        assert!(!found[30..].iter().any(|found| *found), "{found:?}");
    }

    #[test]
    fn what_nobody_asked_for_is_not_older_for_that() {
        let pair = conversation();
        let key = Key::of(&pair);
        let mut generations = Generations::new(DIRECTORY_LIFETIME);
        generations.young.insert(key.clone(), pair);

        let much_later = generations.since + Duration::from_hours(1);

        assert_eq!(generations.get(&key, much_later), None);
    }
}
