//! Where one socket stands in one conversation. How it moves is decided by [`Places`](super::Places).

use chat_domain::{ConversationId, Dialect, Seq};

/// The place of a socket that takes whatever comes next.
pub(super) const UNKNOWN: Seq = Seq(u64::MAX);

/// Where a socket stands in one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The conversation.
    pub conversation: ConversationId,
    pub(super) after: Seq,
    /// What the socket hears of it.
    pub room: Room,
    /// Where the session's beginning lists the conversation, if it does.
    pub listed: Option<u8>,
    /// Whether it is still as it was in the beginning.
    pub(super) is_first: bool,
}

/// What a socket hears of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Room {
    /// Its messages.
    #[default]
    Heard,
    /// Also who types and who reads.
    Joined,
    /// Nothing: it left, or never joined where nothing is heard before.
    Left,
}

impl Room {
    /// Returns what sockets hear of their user's conversations from the beginning.
    #[must_use]
    pub const fn initial(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Consult => Self::Heard,
            Dialect::Care | Dialect::Clinic => Self::Joined,
            Dialect::Booking => Self::Left,
        }
    }
}

impl Place {
    /// Makes the place of a socket for which everything up to `after` was queued; with `None`, it
    /// takes whatever comes next.
    #[must_use]
    pub fn new(conversation: ConversationId, after: Option<Seq>) -> Self {
        Self {
            conversation,
            after: after.unwrap_or(UNKNOWN),
            room: Room::Heard,
            listed: None,
            is_first: false,
        }
    }

    /// Makes the place that the `index`th of a session's beginning is.
    #[must_use]
    pub fn listed(conversation: ConversationId, after: Seq, index: u8) -> Self {
        Self {
            listed: Some(index),
            is_first: true,
            ..Self::new(conversation, Some(after))
        }
    }

    /// Makes the place that a session's beginning implies without listing it.
    #[must_use]
    pub fn implied(conversation: ConversationId, after: Seq) -> Self {
        Self {
            is_first: true,
            ..Self::new(conversation, Some(after))
        }
    }

    /// Changes what the socket hears.
    #[must_use]
    pub const fn in_room(self, room: Room) -> Self {
        Self { room, ..self }
    }

    /// Returns the place as it is later in the session.
    #[must_use]
    pub fn moved(self, after: Option<Seq>) -> Self {
        Self {
            is_first: false,
            ..self.passed(after)
        }
    }

    /// Returns the place where nothing was heard meanwhile, so that nothing has to be remembered.
    #[must_use]
    pub fn passed(self, after: Option<Seq>) -> Self {
        Self {
            after: after.unwrap_or(UNKNOWN),
            ..self
        }
    }

    /// Tells whether it is still as it was in the session's beginning.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns up to where everything was queued, if that is known.
    #[must_use]
    pub fn after(&self) -> Option<Seq> {
        (self.after != UNKNOWN).then_some(self.after)
    }
}
