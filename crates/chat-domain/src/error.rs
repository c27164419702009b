//! What can go wrong, named once for every edge.

use std::time::Duration;

/// Any error, once nobody is left who would branch on its type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The closed set of failure classes that cross a process boundary.
///
/// Callers branch on the kind; people read the message. A new variant changes what clients and
/// dashboards can meet, so it needs a decision record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named after what the contract calls them")]
pub enum ErrorKind {
    Invalid,
    Unauthenticated,
    Unauthorized,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    Unavailable,
    Internal,
}

impl ErrorKind {
    /// Returns the stable code that clients see in `error {code}`.
    ///
    /// A bug of ours is `unavailable` to a client: retrying with the same key is safe.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthorized",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "unavailable",
        }
    }
}

/// A failed chat operation. `Display` is fit for the client; sources are for the log.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// An identifier is malformed.
    #[error("{0} is not valid")]
    InvalidId(&'static str),
    /// A request could not be decoded.
    #[error("invalid request: {0}")]
    Malformed(&'static str),
    /// A role the app does not know.
    #[error("unknown role")]
    UnknownRole,
    /// A message type that does not exist or that users cannot send.
    #[error("unknown message type")]
    UnknownMessageType,
    /// Nothing is left of the text after trimming.
    #[error("content must not be empty")]
    ContentEmpty,
    /// The text is longer than the app allows.
    #[error("content must be at most {max_chars} characters")]
    ContentTooLong {
        /// The limit, in Unicode scalar values.
        max_chars: usize,
    },
    /// The text holds U+0000, which Postgres cannot store.
    #[error("content must not contain a NUL character")]
    ContentHasNul,
    /// A file or image message without its file.
    #[error("fileUrl is required for this message type")]
    FileMissing,
    /// A file URL that is no web address, or is too long.
    #[error("fileUrl is not valid")]
    InvalidFileUrl,
    /// A file of a type that the app does not take.
    #[error("file type is not allowed")]
    FileTypeNotAllowed,
    /// The name of a file that is no name, or not one of its type.
    #[error("file name is not allowed")]
    FileNameNotAllowed,
    /// A file whose bytes are not what was announced.
    #[error("the attachment is not what it was said to be")]
    FileDiffers,
    /// A message to its own sender.
    #[error("Cannot send message to yourself")]
    ToOneself,
    /// A page that is empty or too long.
    #[error("limit is out of range")]
    InvalidPage,

    /// A conversation that the app opens only around its appointment, before that time.
    #[error(
        "Conversation can only be started {before_minutes} minutes before the appointment. \
         Please wait {wait_minutes} more minute(s)."
    )]
    WindowNotOpen {
        /// How long before the appointment it opens.
        before_minutes: u32,
        /// How long until then, rounded up.
        wait_minutes: i64,
    },
    /// The same, after that time.
    #[error("The conversation window has expired. Please book another appointment.")]
    WindowExpired,

    /// No valid token.
    #[error("not authenticated")]
    Unauthenticated,
    /// The caller takes no part in the conversation.
    #[error("not a participant of this conversation")]
    NotParticipant,
    /// The caller is neither the client nor the owner of the business that was booked.
    #[error("Unauthorized")]
    NotOfBooking,
    /// Two users whose roles do not talk to each other.
    #[error("Patients can only chat with doctors and vice versa")]
    WrongRoles,
    /// A doctor and a patient who have nothing to do with each other, or not any more.
    #[error("Doctor and patient are not associated")]
    NotAssociated,
    /// The caller's role or identity does not allow it.
    #[error("{0}")]
    Forbidden(&'static str),

    /// There is no such conversation.
    #[error("Conversation not found")]
    ConversationNotFound,
    /// There is no such booking.
    #[error("Booking not found")]
    BookingNotFound,
    /// There is no such call, or it is none of the caller's.
    #[error("Call not found")]
    CallNotFound,
    /// There is no such user.
    #[error("User not found")]
    UserNotFound,
    /// Of two who would be a pair, one is not in the directory.
    #[error("One or both users not found")]
    PeerNotFound,
    /// There is no such message, or it is none of the caller's to mark.
    #[error("Message not found")]
    MessageNotFound,
    /// There is no such business.
    #[error("Business not found")]
    BusinessNotFound,
    /// There is no such attachment, or it is none of the caller's or of another conversation.
    #[error("Attachment not found")]
    AttachmentNotFound,

    /// The same key was used for another content.
    #[error("clientMessageId was already used for another message")]
    KeyReused,
    /// Somebody else changed it first.
    #[error("{0}")]
    Conflict(&'static str),
    /// More than the receiver takes.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// Too many requests.
    #[error("rate limit exceeded")]
    RateLimited {
        /// When a retry may succeed, in milliseconds.
        retry_after_ms: u64,
    },

    /// Another service answered with this failure.
    #[error("{message}")]
    Remote {
        /// Its class.
        kind: ErrorKind,
        /// Its message, fit for the client.
        message: String,
    },
    /// A dependency did not answer in time.
    #[error("{dependency} is temporarily unavailable")]
    Unavailable {
        /// The dependency, as the dashboards name it.
        dependency: &'static str,
        /// What the client library said.
        #[source]
        source: BoxError,
    },
    /// A bug, or stored data that breaks an invariant.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl ChatError {
    /// Makes a [`ChatError::RateLimited`] of the time after which a retry may succeed.
    #[must_use]
    pub fn rate_limited(after: Duration) -> Self {
        Self::RateLimited {
            retry_after_ms: Self::retry_after_ms(after),
        }
    }

    /// Returns a wait as clients are told it: in milliseconds, and never too short.
    #[must_use]
    pub fn retry_after_ms(after: Duration) -> u64 {
        u64::try_from(after.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
    }

    /// Returns the class of this failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidId(_)
            | Self::Malformed(_)
            | Self::UnknownRole
            | Self::UnknownMessageType
            | Self::ContentEmpty
            | Self::ContentTooLong { .. }
            | Self::ContentHasNul
            | Self::FileMissing
            | Self::InvalidFileUrl
            | Self::FileTypeNotAllowed
            | Self::FileNameNotAllowed
            | Self::FileDiffers
            | Self::ToOneself
            | Self::InvalidPage
            | Self::WindowNotOpen { .. }
            | Self::WindowExpired => ErrorKind::Invalid,
            Self::Unauthenticated => ErrorKind::Unauthenticated,
            Self::NotParticipant
            | Self::NotOfBooking
            | Self::WrongRoles
            | Self::NotAssociated
            | Self::Forbidden(_) => ErrorKind::Unauthorized,
            Self::ConversationNotFound
            | Self::BookingNotFound
            | Self::CallNotFound
            | Self::UserNotFound
            | Self::PeerNotFound
            | Self::MessageNotFound
            | Self::BusinessNotFound
            | Self::AttachmentNotFound => ErrorKind::NotFound,
            Self::KeyReused | Self::Conflict(_) => ErrorKind::Conflict,
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::RateLimited { .. } => ErrorKind::RateLimited,
            Self::Remote { kind, .. } => *kind,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
