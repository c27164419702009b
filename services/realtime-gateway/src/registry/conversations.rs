//! The conversations that somebody connected here is in, each with its [`Tracker`].
//!
//! Not here: who is in them, beyond a count.

use std::hash::{BuildHasher as _, RandomState};

use chat_domain::{AppId, ConversationId, Seq, Timestamp};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::delivery::{Appended, Tracker};

const SHARDS: usize = 256;

/// Where the order of a conversation begins for this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The place of the first message to deliver.
    pub next: Seq,
    /// The database's generation.
    pub epoch: u64,
    /// Messages up to here are no news to anybody.
    pub last_at: Timestamp,
}

impl Start {
    /// From the first message on: there was none before anybody here listened.
    pub(super) fn beginning(epoch: u64) -> Self {
        Self {
            next: Seq(1),
            epoch,
            last_at: Timestamp(i64::MIN),
        }
    }
}

/// The trackers, by conversation.
#[derive(Debug)]
pub struct Conversations {
    shards: Vec<Mutex<HashMap<ConversationId, Entry>>>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    tracker: Tracker<Appended>,
    app: AppId,
    n_users: u32,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Conversations {
    /// Runs `f` on a conversation's tracker and its app, if its order is kept here. The lock is
    /// held meanwhile: that is what keeps deliveries of one conversation in order.
    pub fn with<T>(
        &self,
        conversation: ConversationId,
        f: impl FnOnce(&mut Tracker<Appended>, &AppId) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(conversation).lock();
        let entry = shard.get_mut(&conversation)?;
        Some(f(&mut entry.tracker, &entry.app))
    }

    /// Learns that places up to `head` are taken. Returns true when something is missing that was
    /// not before.
    #[must_use]
    pub fn observe(&self, conversation: ConversationId, epoch: u64, head: Seq) -> bool {
        self.with(conversation, |tracker, _app| tracker.observe(epoch, head))
            .unwrap_or_default()
    }

    /// Returns the ids of a part of the conversations, by app; all parts together are all.
    #[must_use]
    pub fn part(&self, index: usize) -> HashMap<AppId, Vec<ConversationId>> {
        let mut by_app: HashMap<AppId, Vec<ConversationId>> = HashMap::new();
        if let Some(shard) = self.shards.get(index) {
            for (conversation, entry) in &*shard.lock() {
                by_app
                    .entry(entry.app.clone())
                    .or_default()
                    .push(*conversation);
            }
        }
        by_app
    }

    /// Returns how many parts there are.
    #[must_use]
    pub fn n_parts(&self) -> usize {
        self.shards.len()
    }

    /// Returns how many conversations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts one more user of a conversation; the first one begins its order at `start`.
    pub(super) fn retain(&self, conversation: ConversationId, app: &AppId, start: Start) {
        let mut shard = self.shard(conversation).lock();
        let entry = shard.entry(conversation).or_insert_with(|| Entry {
            tracker: Tracker::new(start.next, start.epoch, start.last_at),
            app: app.clone(),
            n_users: 0,
        });
        entry.n_users += 1;
    }

    /// Counts one user less; with the last one the conversation is forgotten.
    pub(super) fn release(&self, conversation: ConversationId) {
        let mut shard = self.shard(conversation).lock();
        if let Some(entry) = shard.get_mut(&conversation) {
            entry.n_users -= 1;
            if entry.n_users == 0 {
                shard.remove(&conversation);
            }
        }
    }

    fn shard(&self, conversation: ConversationId) -> &Mutex<HashMap<ConversationId, Entry>> {
        shard(&self.shards, self.hasher.hash_one(conversation))
    }
}

/// Picks a shard. There is at least one.
pub(super) fn shard<T>(shards: &[T], hash: u64) -> &T {
    let index = usize::try_from(hash % shards.len() as u64).unwrap_or_default();
    #[expect(
        clippy::indexing_slicing,
        reason = "a remainder is less than the divisor"
    )]
    &shards[index]
}
