//! Conversations and who takes part in them.

use std::fmt;

use crate::{AppId, ConversationId, Message, Role, Seq, SubjectId, Timestamp, UserId};

/// One side of a conversation.
///
/// Name and e-mail are known where the app's dialect shows them with every message, and `None`
/// elsewhere; they are personal and never print.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Participant {
    pub user: UserId,
    pub role: Role,
    pub name: Option<Box<str>>,
    pub email: Option<Box<str>>,
}

impl Participant {
    /// Makes a side of whom no more is known.
    #[must_use]
    pub const fn new(user: UserId, role: Role) -> Self {
        Self {
            user,
            role,
            name: None,
            email: None,
        }
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Participant({}, {})", self.user, self.role.as_str())
    }
}

/// Where a client says that something happens, in the terms of its dialect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a conversation.
    Conversation(ConversationId),
    /// In the one conversation of a booking.
    Booking(SubjectId),
    /// In the one conversation with another user.
    Peer(UserId),
}

/// What makes a conversation unique within its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One conversation per booking.
    Booking(SubjectId),
    /// One conversation per unordered pair of users.
    Pair,
}

/// A conversation of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The app it belongs to.
    pub app: AppId,
    /// What it is about.
    pub subject: Subject,
    /// The two sides: the professional (consultant, doctor, business) first.
    pub participants: [Participant; 2],
    /// The place of its newest message; 0 when there is none.
    pub last_seq: Seq,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed: its newest message, else its making.
    pub updated_at: Timestamp,
}

impl Conversation {
    /// Returns the participant that `user` is, if any.
    #[must_use]
    pub fn participant(&self, user: &UserId) -> Option<&Participant> {
        self.participants
            .iter()
            .find(|participant| &participant.user == user)
    }

    /// Returns the other side of `user`, if `user` takes part.
    #[must_use]
    pub fn peer_of(&self, user: &UserId) -> Option<&Participant> {
        let [first, second] = &self.participants;
        match (&first.user == user, &second.user == user) {
            (true, _) => Some(second),
            (false, true) => Some(first),
            (false, false) => None,
        }
    }

    /// Returns who wrote a message of this conversation, and whom to.
    #[must_use]
    pub fn sender_and_receiver(&self, message: &Message) -> (&Participant, &Participant) {
        let [first, second] = &self.participants;
        if message.sender == second.user {
            return (second, first);
        }
        (first, second)
    }

    /// Returns the user who takes part in `role`, if any.
    #[must_use]
    pub fn user_in_role(&self, role: Role) -> Option<&UserId> {
        self.participants
            .iter()
            .find(|participant| participant.role == role)
            .map(|participant| &participant.user)
    }
}
