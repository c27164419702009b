//! Who takes part in which conversation, remembered for a while.
//!
//! The two participants of a conversation never change; what else a conversation holds is not
//! trusted here. Memory is bounded by two generations: when the young one is full or old, it becomes
//! the old one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{ChatError, Conversation, ConversationId};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::{registry::UserKey, store::Store};

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
    young: HashMap<ConversationId, Arc<Conversation>>,
    old: HashMap<ConversationId, Arc<Conversation>>,
    since: Instant,
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

    /// Returns a conversation to one of its participants.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::NotParticipant`], or a failure of kind `NotFound` or `Unavailable`.
    pub async fn check(
        &self,
        user: &UserKey,
        id: ConversationId,
    ) -> Result<Arc<Conversation>, ChatError> {
        let known = self.generations.lock().get(id, Instant::now());
        let conversation = if let Some(conversation) = known {
            conversation
        } else {
            let conversation = Arc::new(self.store.conversation(user, id).await?);
            self.insert(Arc::clone(&conversation));
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
    pub fn learn(&self, conversation: &Conversation) {
        let is_known = self.generations.lock().young.contains_key(&conversation.id);
        if !is_known {
            self.insert(Arc::new(conversation.clone()));
        }
    }

    fn insert(&self, conversation: Arc<Conversation>) {
        let mut generations = self.generations.lock();
        generations.turn(Instant::now());
        generations.young.insert(conversation.id, conversation);
    }
}

impl Generations {
    fn get(&mut self, id: ConversationId, now: Instant) -> Option<Arc<Conversation>> {
        self.turn(now);
        let known = self.young.get(&id).or_else(|| self.old.get(&id))?;
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
