//! Why a device did not get a message: what the database knows, and what gateways noted.
//!
//! Not here: what follows from it, which is `app::journey`'s. Nothing of it is what somebody wrote.

use std::time::Duration;

use chat_domain::{AppId, ConversationId, MessageId, Seq, Timestamp, UserId, call::DeviceId};

use crate::ports::Answer;

/// From how long before the message notes are read: what a gateway that died last said of the user.
pub const LOOK_BACK: Duration = Duration::from_mins(15);

/// What the database knows of a message and a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where the message is.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// Who wrote it.
    pub sender: UserId,
    /// When it was committed.
    pub created_at: Timestamp,
    /// When it first reached the other side.
    pub delivered_at: Option<Timestamp>,
    /// When the other side read it.
    pub read_at: Option<Timestamp>,
    /// It is not certain yet that gateways were told of it.
    pub is_untold: bool,
    /// Tokens of the user that were issued up to here are revoked.
    pub revoked_until: Option<Timestamp>,
    /// When the user was shown the message by an answer, oldest first: at most ten.
    pub shown: Vec<Shown>,
    /// Connections of the user that stores were told of since then, as [`DeviceId`] prints them: at most
    /// a hundred, the newest. Gateways noted each, unless the notes were lost.
    pub connected: Vec<String>,
}

/// A user that was shown a message by an answer, not by an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the log of accesses")]
pub struct Shown {
    pub at: Timestamp,
    pub action: String,
    pub device: Option<String>,
}

/// Finds what the database knows.
pub trait StoredMessages: Send + Sync {
    /// Returns what is known of a message and a user of an app; `None` for a message that was never
    /// there or is no more. Whose app the message's is, the caller checks.
    fn find_stored<'a>(
        &'a self,
        app: &'a AppId,
        id: MessageId,
        user: &'a UserId,
    ) -> Answer<'a, Option<Stored>>;
}

/// How a message came to be queued for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its event came in time.
    Event,
    /// Its event did not, and the gateway fetched it.
    Repair,
    /// It was fetched for a socket that was behind.
    Refill,
}

/// Where a socket stood when it was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All up to here was queued for it.
    At(Seq),
    /// The same, and what follows is being fetched.
    Behind(Seq),
    /// It takes whatever comes next.
    Unknown,
    /// It hears nothing of the conversation.
    Outside,
}

/// What is noted of a socket alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What the client knows its session by.
    pub socket_id: String,
    /// When this connection began.
    pub began: Timestamp,
}

/// What a gateway noted: of the message first, then of the user's sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "described in journal.proto")]
pub enum Seen {
    Written(Way),
    Waiting,
    Lost,
    NoRoom,
    Behind,
    NotHeard,
    Closed,
    Skipped,
    Held,
    Nobody,
    Came {
        socket: Named,
        is_back: bool,
    },
    Went {
        socket: Named,
        reason: String,
    },
    /// Where it stands, said to whoever asks now.
    Stands {
        socket: Named,
        standing: Standing,
    },
    /// Where it stood, said to somebody before.
    Stood {
        socket: Named,
        standing: Standing,
    },
}

/// A note of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When it was noted, by the gateway's clock.
    pub at: Timestamp,
    /// The gateway, and the number of the socket there; 0 where it is about none.
    pub device: DeviceId,
    /// What was noted.
    pub seen: Seen,
}

/// What gateways noted of a message and a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Oldest first.
    pub all: Vec<Sighting>,
    /// Whether nothing that was noted is known to be missing.
    pub is_complete: bool,
}

/// Of whom and what is asked.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Question<'a> {
    pub app: &'a AppId,
    pub user: &'a UserId,
    pub conversation: ConversationId,
    pub seq: Seq,
    pub created_at: Timestamp,
}

/// Reads what gateways noted.
pub trait SightingLog: Send + Sync {
    /// Asks gateways where the user's sockets stand, and returns what was noted from a while before
    /// the message on.
    fn read<'a>(&'a self, question: Question<'a>) -> Answer<'a, Sightings>;
}
