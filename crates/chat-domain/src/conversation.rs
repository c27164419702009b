//! Conversations and who takes part in them.

use crate::{AppId, ConversationId, Role, Seq, SubjectId, Timestamp, UserId};

/// One side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Participant {
    pub user: UserId,
    pub role: Role,
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

    /// Returns the user who takes part in `role`, if any.
    #[must_use]
    pub fn user_in_role(&self, role: Role) -> Option<&UserId> {
        self.participants
            .iter()
            .find(|participant| participant.role == role)
            .map(|participant| &participant.user)
    }
}
