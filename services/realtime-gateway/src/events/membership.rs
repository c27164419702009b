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

use crate::{registry::UserKey, session::Session, store::Store};

/// How many conversations a generation holds.
const CAPACITY: usize = 20_000;
/// How long a generation is young; what it holds lasts at most twice as long.
const LIFETIME: Duration = Duration::from_mins(5);

/// Conversations by id, for the sake of their participants.
#[derive(Debug)]
pub struct Membership {
    store: Store,
    generations: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
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
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                since: Instant::now(),
            }),
        }
    }

    /// Returns the conversation that a client means to one of its participants.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::NotParticipant`], or a failure of kind `Unauthorized`, `NotFound`,
    /// `Invalid` or `Unavailable`.
    pub async fn find(
        &self,
        session: &Session,
        place: &Place,
    ) -> Result<Arc<Conversation>, ChatError> {
        let user = session.key();
        let key = Key::new(&user, place);
        let known = self.generations.lock().get(&key, Instant::now());
        let conversation = if let Some(conversation) = known {
            conversation
        } else {
            let found = match place {
                Place::Conversation(id) => self.store.conversation(&user, *id).await?,
                Place::Booking(_) | Place::Peer(_) => {
                    let opened = self
                        .store
                        .open_conversation(&user.app, session.user(), place);
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
        let is_known = self.generations.lock().young.contains_key(&key);
        if !is_known {
            self.insert(key, Arc::new(conversation.clone()));
        }
    }

    fn insert(&self, key: Key, conversation: Arc<Conversation>) {
        let mut generations = self.generations.lock();
        generations.turn(Instant::now());
        generations.young.insert(key, conversation);
    }
}

impl Generations {
    fn get(&mut self, key: &Key, now: Instant) -> Option<Arc<Conversation>> {
        self.turn(now);
        let known = self.young.get(key).or_else(|| self.old.get(key))?;
        Some(Arc::clone(known))
    }

    fn turn(&mut self, now: Instant) {
        let is_old = LIFETIME <= now.saturating_duration_since(self.since);
        if is_old || CAPACITY <= self.young.len() {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
    }
}
