//! What other services tell about their own: bookings and businesses.

use crate::{SubjectId, Timestamp, UserId};

/// An appointment between a professional and a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Its id in the service that owns it.
    pub id: SubjectId,
    /// The consultant, or in apps with businesses the id of the booked business.
    pub professional: UserId,
    /// Who booked.
    pub client: UserId,
    /// When it begins; unknown until it is planned.
    pub starts_at: Option<Timestamp>,
    /// When it ends, if that is known.
    pub ends_at: Option<Timestamp>,
    /// What its owner calls its state; the chat draws no conclusion from it.
    pub status: Option<String>,
}

/// A business that clients book; its owner chats for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Business {
    pub id: UserId,
    pub owner: UserId,
    pub name: String,
}
