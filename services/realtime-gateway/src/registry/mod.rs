//! Who is connected here: users, their sockets, and the conversations they are in.
//!
//! A user is here from the moment one of its sockets begins to connect until the last is gone; as
//! long, this gateway asks for the user's events. Who is in which room is not here: each socket
//! remembers its own. Locks are sharded by user, never held over an `.await` or while encoding, and
//! taken before those of [`Conversations`].

mod conversations;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use chat_domain::{AppId, ConversationId, Seq, Timestamp, UserId};
use hashbrown::HashMap;
use parking_lot::Mutex;
use service_kit::apps::App;

pub use conversations::{Conversations, Start};

use crate::{
    ports::{Interest, Subscription},
    session::ChatSocket,
};

const SHARDS: usize = 64;

/// A user of an app.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "plain fields")]
pub struct UserKey {
    pub app: AppId,
    pub user: UserId,
}

/// The sockets of one user at one moment: a shared copy, replaced when one comes or goes.
pub type Sockets = Arc<[ChatSocket]>;

/// How much is known of the places in a user's conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Nothing yet.
    Unknown,
    /// The most recent conversations.
    Partial,
    /// All conversations: any other one began after.
    Complete,
}

/// Everybody connected to this gateway.
pub struct Registry {
    shards: Vec<Mutex<HashMap<UserKey, LocalUser>>>,
    hasher: RandomState,
    interest: Arc<dyn Interest>,
    conversations: Arc<Conversations>,
    max_sockets: usize,
}

struct LocalUser {
    sockets: Sockets,
    /// Sockets that are on their way in.
    n_enrolled: usize,
    subscription: Subscription,
    positions: Positions,
    /// Those whose order is kept for this user, sorted.
    conversations: Vec<ConversationId>,
}

/// A socket on its way in. While it is there, so is its user.
pub struct Enrolment {
    registry: Arc<Registry>,
    user: UserKey,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment").finish_non_exhaustive()
    }
}

impl Drop for Enrolment {
    fn drop(&mut self) {
        self.registry
            .change(&self.user, |user| user.n_enrolled -= 1);
    }
}

impl Registry {
    /// Makes an empty registry that allows a user `max_sockets` sockets, unless its app says otherwise.
    #[must_use]
    pub fn new(
        interest: Arc<dyn Interest>,
        conversations: Arc<Conversations>,
        max_sockets: usize,
    ) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            interest,
            conversations,
            max_sockets,
        }
    }

    /// Returns the conversations that somebody here is in.
    #[must_use]
    pub fn trackers(&self) -> Arc<Conversations> {
        Arc::clone(&self.conversations)
    }

    /// Announces a socket of `user`, and asks for the user's events if it is the first.
    #[must_use = "the user is gone with it"]
    pub fn enrol(self: &Arc<Self>, user: UserKey) -> Enrolment {
        let mut shard = self.shard(&user).lock();
        let local = shard.entry(user.clone()).or_insert_with(|| LocalUser {
            sockets: Arc::default(),
            n_enrolled: 0,
            subscription: self.interest.subscribe(user.clone()),
            positions: Positions::Unknown,
            conversations: Vec::new(),
        });
        local.n_enrolled += 1;
        drop(shard);
        Enrolment {
            registry: Arc::clone(self),
            user,
        }
    }

    /// Adds a socket whose connecting `enrolment` announced. Returns the user's oldest socket when
    /// there are too many now: the caller sends it away.
    #[must_use]
    pub fn attach(&self, enrolment: Enrolment, socket: ChatSocket) -> Option<ChatSocket> {
        let max_sockets = self.max_sockets(socket.session().app());
        let before = self.change(&enrolment.user, |user| {
            let mut sockets = user.sockets.to_vec();
            sockets.push(socket);
            std::mem::replace(&mut user.sockets, sockets.into())
        })?;
        // Only now: without it the user may have been gone before the socket came.
        drop(enrolment);
        let is_full = max_sockets <= before.len();
        is_full.then(|| before.first().cloned()).flatten()
    }

    /// Returns how many sockets a user of an app may have.
    #[must_use]
    pub fn max_sockets(&self, app: &App) -> usize {
        let limits = app.policy.limits;
        limits.sockets_per_user.unwrap_or(self.max_sockets)
    }

    /// Removes a socket.
    pub fn detach(&self, user: &UserKey, socket: &ChatSocket) {
        // The last clone of a socket may go here: dropped after the lock.
        let _before = self.change(user, |user| {
            let others = user.sockets.iter().filter(|other| *other != socket);
            let others: Sockets = others.cloned().collect();
            std::mem::replace(&mut user.sockets, others)
        });
    }

    /// Returns the user's sockets; none for somebody who is not here.
    #[must_use]
    pub fn sockets(&self, user: &UserKey) -> Sockets {
        let shard = self.shard(user).lock();
        let sockets = shard.get(user).map(|local| Arc::clone(&local.sockets));
        sockets.unwrap_or_default()
    }

    /// Returns the sockets of a part of the users; all parts together are all.
    #[must_use]
    pub fn part(&self, index: usize) -> Vec<ChatSocket> {
        let Some(shard) = self.shards.get(index) else {
            return Vec::new();
        };
        let shard = shard.lock();
        let sockets = shard.values().flat_map(|local| local.sockets.iter());
        sockets.cloned().collect()
    }

    /// Returns how many parts there are.
    #[must_use]
    pub fn n_parts(&self) -> usize {
        self.shards.len()
    }

    /// Returns how much is known of the places in the user's conversations; `None` for somebody who
    /// is not here.
    #[must_use]
    pub fn positions(&self, user: &UserKey) -> Option<Positions> {
        let shard = self.shard(user).lock();
        shard.get(user).map(|local| local.positions)
    }

    /// Returns the conversations whose order is kept for the user.
    #[must_use]
    pub fn conversations(&self, user: &UserKey) -> Vec<ConversationId> {
        let shard = self.shard(user).lock();
        let conversations = shard.get(user).map(|local| local.conversations.clone());
        conversations.unwrap_or_default()
    }

    /// Learns the places in a user's conversations and when each was reached, all of them if `complete`.
    /// Returns those in which something is missing that was not before.
    #[must_use]
    pub fn open(
        &self,
        user: &UserKey,
        heads: impl IntoIterator<Item = (ConversationId, Seq, Timestamp)>,
        complete: bool,
        epoch: u64,
    ) -> Vec<ConversationId> {
        let mut behind = Vec::new();
        let mut shard = self.shard(user).lock();
        let Some(local) = shard.get_mut(user) else {
            return behind;
        };
        let before = local.positions;
        local.positions = if complete {
            Positions::Complete
        } else {
            Positions::Partial
        };
        for (conversation, head, reached_at) in heads {
            let start = match before {
                // It began since: the user's sockets have nothing of it.
                Positions::Complete => Start::beginning(epoch),
                _ if head == Seq(0) => Start::beginning(epoch),
                Positions::Partial | Positions::Unknown => Start {
                    next: head.next(),
                    epoch,
                    // By the database's clock, as messages are: ours may be wrong.
                    last_at: reached_at,
                },
            };
            local.enter(&self.conversations, &user.app, conversation, start);
            if self.conversations.observe(conversation, epoch, head) {
                behind.push(conversation);
            }
        }
        behind
    }

    /// Makes sure that the order of a conversation that began a moment ago is kept for `user`, from its
    /// beginning. Whoever is not here needs none, and whoever is about to learn its places learns this.
    pub fn begin(&self, user: &UserKey, conversation: ConversationId, epoch: u64) {
        let mut shard = self.shard(user).lock();
        let known = shard.get_mut(user);
        if let Some(local) = known.filter(|local| local.positions != Positions::Unknown) {
            let start = Start::beginning(epoch);
            local.enter(&self.conversations, &user.app, conversation, start);
        }
    }

    /// Returns the sockets that `user` has here, after making sure that the conversation's order is
    /// kept for it: from its beginning if all older ones were known, else from the event at hand,
    /// of place `seq` and made at `at`. `None` for somebody who is not here.
    #[must_use]
    pub fn locate(
        &self,
        user: &UserKey,
        conversation: ConversationId,
        (epoch, seq, at): (u64, Seq, Timestamp),
    ) -> Option<Sockets> {
        let mut shard = self.shard(user).lock();
        let local = shard.get_mut(user)?;
        let start = match local.positions {
            Positions::Complete => Start::beginning(epoch),
            Positions::Partial | Positions::Unknown => Start {
                next: seq,
                epoch,
                last_at: Timestamp(at.0.saturating_sub(1)),
            },
        };
        local.enter(&self.conversations, &user.app, conversation, start);
        Some(Arc::clone(&local.sockets))
    }

    /// Returns how many users are here.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Changes a user's entry, and removes it when nobody is left.
    fn change<T>(&self, user: &UserKey, change: impl FnOnce(&mut LocalUser) -> T) -> Option<T> {
        let mut shard = self.shard(user).lock();
        let local = shard.get_mut(user)?;
        let result = change(local);
        if local.sockets.is_empty() && local.n_enrolled == 0 {
            self.interest.unsubscribe(local.subscription);
            for conversation in &local.conversations {
                self.conversations.release(*conversation);
            }
            shard.remove(user);
        }
        Some(result)
    }

    fn shard(&self, user: &UserKey) -> &Mutex<HashMap<UserKey, LocalUser>> {
        let hash = self.hasher.hash_one(user);
        conversations::shard(&self.shards, hash)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl LocalUser {
    /// Makes sure that the conversation's order is kept for this user.
    fn enter(
        &mut self,
        conversations: &Conversations,
        app: &AppId,
        conversation: ConversationId,
        start: Start,
    ) {
        if let Err(index) = self.conversations.binary_search(&conversation) {
            self.conversations.insert(index, conversation);
            conversations.retain(conversation, app, start);
        }
    }
}

#[cfg(test)]
mod tests;
