//! What the use cases need of the outside: a journal, a store, an outbox and a way to tell.
//!
//! Not here: anything of SQL or NATS. The adapters in `pg` and `nats` implement these traits, and
//! tests put doubles in their place. Every method may fail with [`ChatError::Unavailable`] (try
//! again later) or [`ChatError::Internal`] (a bug or broken data); other failures are named.

use std::sync::Arc;

use bytes::Bytes;
use chat_domain::{
    AppId, ChatError, ClientKey, Content, Conversation, ConversationId, Message, MessageId,
    Participant, Receipt, Seq, SubjectId, Timestamp, UserId,
};
use futures_util::future::BoxFuture;
use uuid::Uuid;

pub use crate::{
    ports_audit::AuditLog,
    ports_directory::{Acquaintance, Directory, Relation},
    ports_overview::{Depth, Overview, Overviews, Shredder, Wanted},
    ports_revocations::RevocationLog,
};

/// What a port answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ChatError>>;

/// What makes a send idempotent, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The client's own; readers see it.
    Clients(ClientKey),
    /// Made on the client's behalf and repeated for every retry; readers don't see it.
    Made(String),
}

impl Key {
    /// Makes a key for a send that is not repeated by anybody.
    #[must_use]
    pub fn fresh() -> Self {
        Self::Made(Uuid::new_v4().to_string())
    }

    /// Returns the text that is compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Clients(key) => key.as_str(),
            Self::Made(key) => key,
        }
    }
}

/// What caused a change; travels in its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The socket, in the words of its gateway; empty when no socket did it.
    pub socket: Bytes,
    /// W3C trace context; may be empty.
    pub traceparent: String,
}

/// A message on its way into the journal.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Entry {
    pub app: AppId,
    pub conversation: ConversationId,
    pub sender: UserId,
    pub key: Key,
    pub content: Content,
}

/// What became of an [`Entry`].
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are the large one"
)]
pub enum Outcome {
    /// It is durable.
    Stored {
        /// Its conversation, as it was after the whole batch.
        conversation: Arc<Conversation>,
        /// The message as it is stored.
        message: Message,
        /// It had been stored before under the same key; nothing was stored now.
        duplicate: bool,
    },
    /// The key belongs to a message that says something else.
    KeyReused(Arc<Conversation>),
    /// The sender takes no part in the conversation.
    NotParticipant,
    /// The app has no such conversation.
    ConversationNotFound,
}

/// The outcome of a batch.
#[derive(Debug, Clone)]
pub struct Written {
    /// One per entry, in order.
    pub outcomes: Vec<Outcome>,
    /// The row that makes telling about the batch certain; `None` when nothing new was stored.
    pub outbox: Option<OutboxId>,
    /// The generation of the sequence numbers.
    pub epoch: u64,
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// An entry cannot be stored: the others can be without it. Nothing was stored.
    #[error("an entry was refused")]
    Poison(#[source] ChatError),
    /// Others were in the way. Nothing was stored; the same batch may succeed.
    #[error("the batch has to be repeated")]
    Conflict(#[source] ChatError),
    /// Whether it was stored is unknown; repeating it is safe.
    #[error("the outcome is unknown")]
    Unknown(#[source] ChatError),
}

/// Appends messages, in order and once each.
pub trait Journal: Send + Sync {
    /// Stores a batch in one transaction.
    fn append<'a>(&'a self, batch: &'a [Entry]) -> BoxFuture<'a, Result<Written, JournalError>>;
}

/// A conversation to be made.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct NewConversation {
    pub id: ConversationId,
    pub app: AppId,
    pub booking: Option<SubjectId>,
    pub participants: [Participant; 2],
}

/// Which way to read from a place, which itself is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// Towards the beginning, newest first.
    Before(Seq),
    /// Towards the end, oldest first.
    After(Seq),
}

/// The messages that a receipt changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Those really marked now.
    pub ids: Vec<MessageId>,
    /// When.
    pub at: Timestamp,
}

/// A message that arrived at a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Delivery {
    pub conversation: ConversationId,
    pub user: UserId,
    pub message: MessageId,
}

/// The position of a conversation.
pub type Head = (ConversationId, Seq);

/// The position of one of a user's own conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct OwnHead {
    pub conversation: ConversationId,
    pub last_seq: Seq,
    /// When it last got a message, or was made.
    pub changed_at: Timestamp,
}

/// What somebody did with messages of a conversation, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Marked {
    pub conversation: ConversationId,
    pub receipt: Receipt,
    /// Who did.
    pub user: UserId,
    pub received: Received,
}

/// Everything durable but the journal.
pub trait Store: Directory + Overviews + AuditLog + RevocationLog {
    /// Returns the conversation of this subject and these participants, made unless it was there.
    fn open_conversation<'a>(&'a self, new: &'a NewConversation) -> Answer<'a, Conversation>;

    /// Returns the conversation of a booking, or of none, and two users, if it was made.
    fn find_conversation_of<'a>(
        &'a self,
        app: &'a AppId,
        booking: Option<&'a SubjectId>,
        sides: [&'a UserId; 2],
    ) -> Answer<'a, Option<Conversation>>;

    /// Returns a conversation of the app.
    fn find_conversation<'a>(
        &'a self,
        app: &'a AppId,
        id: ConversationId,
    ) -> Answer<'a, Option<Conversation>>;

    /// Returns those of the conversations that exist, of whatever app.
    fn find_conversations<'a>(&'a self, ids: &'a [ConversationId])
    -> Answer<'a, Vec<Conversation>>;

    /// Returns the user's conversations that changed last, newest first.
    fn list_conversations<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Vec<Conversation>>;

    /// Returns the positions of those of the conversations that the app has.
    fn list_heads<'a>(&'a self, app: &'a AppId, ids: &'a [ConversationId])
    -> Answer<'a, Vec<Head>>;

    /// Returns conversations of the app whose first message came after a moment, and when; oldest
    /// first, from behind `after` on.
    fn list_begun<'a>(
        &'a self,
        app: &'a AppId,
        after: (Timestamp, ConversationId),
        limit: u32,
    ) -> Answer<'a, Vec<(Timestamp, Conversation)>>;

    /// Returns the positions of the user's conversations that changed last, newest first.
    fn list_own_heads<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Vec<OwnHead>>;

    /// Returns the positions of those of the conversations that are the user's.
    fn find_own_heads<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        ids: &'a [ConversationId],
    ) -> Answer<'a, Vec<OwnHead>>;

    /// Returns the place of the last message of each conversation that was made at `at` or before.
    fn list_places<'a>(&'a self, ids: &'a [ConversationId], at: Timestamp)
    -> Answer<'a, Vec<Head>>;

    /// Returns what was received and read in conversations since a moment, among the newest `depth`
    /// messages of each and of at most `limit` messages.
    fn list_marked<'a>(
        &'a self,
        ids: &'a [ConversationId],
        since: Timestamp,
        depth: u32,
        limit: u32,
    ) -> Answer<'a, Vec<Marked>>;

    /// Returns how many messages sent at `since` or later the user has not read; `None` if it takes no
    /// part.
    fn find_unread<'a>(
        &'a self,
        app: &'a AppId,
        conversation: ConversationId,
        user: &'a UserId,
        since: Option<Timestamp>,
    ) -> Answer<'a, Option<u64>>;

    /// Returns at most `limit` messages next to a place, sent at `since` or later.
    fn list_messages(
        &self,
        conversation: ConversationId,
        slice: Slice,
        limit: u32,
        since: Option<Timestamp>,
    ) -> Answer<'_, Vec<Message>>;

    /// Returns a message.
    fn find_message(
        &self,
        conversation: ConversationId,
        id: MessageId,
    ) -> Answer<'_, Option<Message>>;

    /// Marks messages that others sent to `user` as read; those marked before or unknown stay out.
    /// Also returns the generation of the sequence numbers.
    fn read<'a>(
        &'a self,
        conversation: ConversationId,
        user: &'a UserId,
        ids: &'a [MessageId],
    ) -> Answer<'a, (Received, u64)>;

    /// Marks at most `limit` messages that others sent to `user`, the newest first, as
    /// [`Self::read`] does.
    fn read_newest(
        &self,
        conversation: ConversationId,
        user: UserId,
        limit: u32,
    ) -> Answer<'_, (Received, u64)>;

    /// Returns where messages are, of those that are in the user's own conversations.
    fn locate_messages<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        ids: &'a [MessageId],
    ) -> Answer<'a, Vec<(ConversationId, MessageId)>>;

    /// Marks messages as delivered to users who are known to take part, all in one transaction that
    /// does not wait for the disk; otherwise as [`Self::read`], in no order.
    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> Answer<'a, (Received, u64)>;

    /// Returns the generation of the sequence numbers; a new one may have reused them.
    fn epoch(&self) -> Answer<'_, u64>;
}

/// A row of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboxId(pub i64);

/// The first and the last of messages that a conversation got.
pub type Range = (AppId, ConversationId, Seq, Seq);

/// A batch whose events may not have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its row.
    pub id: OutboxId,
    /// The first and last message of each conversation in it.
    pub ranges: Vec<Range>,
}

/// What was committed and must be told.
pub trait Outbox: Send + Sync {
    /// Takes batches that were committed a while ago and not removed since. Whoever takes one has
    /// some seconds for it; then others may take it too.
    fn claim(&self, limit: u32) -> Answer<'_, Vec<Due>>;

    /// Removes batches that were told.
    fn remove<'a>(&'a self, ids: &'a [OutboxId]) -> Answer<'a, ()>;

    /// Moves batches that sockets were told of to where they wait for other services.
    fn leave<'a>(&'a self, ids: &'a [OutboxId]) -> Answer<'a, ()>;

    /// Returns the age of the oldest batch in seconds; 0 when there is none.
    fn age_seconds(&self) -> Answer<'_, f64>;
}

/// A fact that concerns the sockets of some users.
#[derive(Debug, Clone)]
pub struct Event {
    /// The app it happened in.
    pub app: AppId,
    /// Everybody it concerns.
    pub targets: Vec<UserId>,
    /// What caused it.
    pub origin: Origin,
    /// The generation of its sequence numbers.
    pub epoch: u64,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A message was stored.
    MessageAppended(Arc<Conversation>, Message),
    /// A user received or read messages.
    MessagesReceived {
        /// Where.
        conversation: ConversationId,
        /// What the user did.
        receipt: Receipt,
        /// Who.
        user: UserId,
        /// Which and when.
        received: Received,
    },
}

/// The events of one transaction.
#[derive(Debug, Clone)]
pub struct Committed {
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// The row to remove once they are told; without one they are told at most once.
    pub outbox: Option<OutboxId>,
}

impl Event {
    /// Says that a message was stored, to everybody in its conversation.
    #[must_use]
    pub fn appended(
        conversation: &Arc<Conversation>,
        message: Message,
        origin: Origin,
        epoch: u64,
    ) -> Self {
        Self {
            app: conversation.app.clone(),
            targets: everybody(conversation),
            origin,
            epoch,
            fact: Fact::MessageAppended(Arc::clone(conversation), message),
        }
    }

    /// Says that `user` received messages, to everybody in their conversation.
    #[must_use]
    pub fn received(
        conversation: &Conversation,
        user: &UserId,
        receipt: Receipt,
        received: Received,
        origin: Origin,
        epoch: u64,
    ) -> Self {
        Self {
            app: conversation.app.clone(),
            targets: everybody(conversation),
            origin,
            epoch,
            fact: Fact::MessagesReceived {
                conversation: conversation.id,
                receipt,
                user: user.clone(),
                received,
            },
        }
    }
}

fn everybody(conversation: &Conversation) -> Vec<UserId> {
    conversation
        .participants
        .iter()
        .map(|participant| participant.user.clone())
        .collect()
}

/// Tells users' sockets.
pub trait Events: Send + Sync {
    /// Hands over what was committed and returns at once: `false` when it was not taken, because
    /// nobody can be told or too much is waiting. What has an outbox row is told later then.
    fn publish(&self, committed: Committed) -> bool;

    /// Tells whether somebody can be told.
    fn ready(&self) -> bool;

    /// Tells gateways that something was revoked. One that misses it asks within seconds.
    fn revoked(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Takes entries out of a log.
pub trait Sink<T>: Send + Sync {
    /// Takes entries in order; those it fails on come again, and so may others. Those that are
    /// refused for good, each by itself, are given up.
    fn take<'a>(&'a self, batch: &'a [T]) -> Answer<'a, ()>;
}
