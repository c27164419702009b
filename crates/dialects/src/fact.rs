//! What may be told to clients, whichever dialect they speak.

use std::borrow::Cow;

use chat_domain::{
    ChatError, Conversation, ConversationId, Dialect, Message, MessageId, Place, Presence, Role,
    Seq, Status, Timestamp, User, UserId,
};

use crate::Rejection;

/// Something that clients may hear of, in terms of the domain. Not every dialect has words for all.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'a> {
    /// To the socket that asked: it entered a room.
    Joined {
        /// The room, as the client named it.
        place: &'a Place,
        /// The conversation that it is.
        conversation: ConversationId,
    },
    /// To the socket that asked: it left a room.
    Left {
        /// The room.
        conversation: ConversationId,
    },
    /// To all in the conversation: it has one more message. The conversation is as it is with it.
    Appended(&'a Message, &'a Conversation),
    /// To those whom a message is for, right behind it: its sender does not type any more.
    Received(&'a Message),
    /// To the socket that sent it: the message is stored.
    Sent(&'a Message, &'a Conversation),
    /// To the other: somebody types, or does no longer.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: &'a UserId,
        /// As what.
        role: Role,
        /// False for the end of it.
        active: bool,
    },
    /// To the socket that asked: messages were really marked as read.
    Marked {
        /// Which, in the order of their conversations.
        ids: &'a [MessageId],
    },
    /// To the others of a conversation: messages were read.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Which.
        ids: &'a [MessageId],
        /// By whom.
        reader: &'a UserId,
        /// When.
        at: Timestamp,
    },
    /// To the sender: messages reached the other.
    Delivered {
        /// Where.
        conversation: ConversationId,
        /// Who sent them.
        sender: &'a UserId,
        /// Which.
        ids: &'a [MessageId],
        /// Whom.
        reader: &'a UserId,
        /// When.
        at: Timestamp,
    },
    /// To whom it concerns: somebody came, went or changed its status.
    Presence {
        /// Who.
        user: &'a UserId,
        /// Its name, where it is known.
        name: Option<&'a str>,
        /// What others see of it now.
        presence: Presence,
        /// Since when.
        at: Timestamp,
    },
    /// To the socket that asked: what others see of its user was chosen.
    StatusSet(Status),
    /// To the socket that asked: it said who it is, and is believed.
    Introduced(&'a User),
    /// To the socket that asked: what it missed.
    Synced(&'a [Synced<'a>]),
    /// To a socket that was not told everything: where its conversations stand.
    Resync(&'a [(ConversationId, Seq)]),
    /// To the socket that asked: a newer token was taken, which ends then.
    TokenRefreshed(Timestamp),
    /// Something failed.
    Failed(&'a Failure<'a>),
    /// To the socket that asked: its event took effect there, and nothing more is to be said. For
    /// acknowledgements alone.
    Heard(&'a Place),
}

/// What was missed in one conversation.
#[derive(Debug, Clone, Copy)]
pub struct Synced<'a> {
    /// The conversation.
    pub conversation: &'a Conversation,
    /// Its messages after the place that the client named, ascending.
    pub messages: &'a [Message],
    /// True when there are more: the client asks again from the last one.
    pub more: bool,
}

/// A failure as clients are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<'a> {
    /// For people; the dialect's own text where it has one.
    pub message: Cow<'a, str>,
    /// For programs. Stable.
    pub code: &'static str,
    /// The client's event that failed, if one did.
    pub event: Option<&'a str>,
    /// When another attempt may succeed.
    pub retry_after_ms: Option<u64>,
}

impl<'a> Failure<'a> {
    /// Describes a failure that no [`ChatError`] stands for, such as an expired token.
    #[must_use]
    pub fn new(message: &'a str, code: &'static str, event: Option<&'a str>) -> Self {
        Self {
            message: message.into(),
            code,
            event,
            retry_after_ms: None,
        }
    }

    /// Describes a failed operation.
    #[must_use]
    pub fn of(dialect: Dialect, error: &ChatError, event: Option<&'a str>) -> Self {
        let message = match (dialect, error) {
            (Dialect::Booking, ChatError::NotParticipant) => "Unauthorized".into(),
            _ => error.to_string().into(),
        };
        let retry_after_ms = if let ChatError::RateLimited { retry_after_ms } = error {
            Some(*retry_after_ms)
        } else {
            None
        };
        Self {
            message,
            code: error.kind().code(),
            event,
            retry_after_ms,
        }
    }
}

impl<'a> From<&'a Rejection> for Failure<'a> {
    fn from(rejection: &'a Rejection) -> Self {
        Self::new(
            &rejection.message,
            rejection.kind.code(),
            Some(rejection.event),
        )
    }
}
