//! The vocabulary and the rules of care-chat: values that are checked once and then trusted.
//!
//! * A **conversation** has exactly two [`Participant`]s, one per side, and a gap-free sequence of
//!   messages ([`Seq`] from 1).
//! * A **message** is immutable but for its receipts, which only move forward.
//! * Everything belongs to one **app** ([`AppId`]); no rule ever looks across two.
//!
//! What is deliberately absent: I/O, clocks, randomness, serialisation. Wire types are in
//! `chat-proto` and `dialects`, rows in `chat-store`.

pub mod call;
mod conversation;
mod directory;
mod error;
mod file;
mod id;
mod message;
mod page;
mod presence;
mod retention;
mod revocation;
mod timestamp;
mod user;

pub use conversation::{Conversation, Participant, Place, Subject};
pub use directory::{Booking, Business};
pub use error::{BoxError, ChatError, ErrorKind};
pub use file::{File, FileType};
pub use id::{
    AppId, AttachmentId, ClientKey, ConversationId, IssuedName, MessageId, Seq, SubjectId, UserId,
};
pub use message::{Attachment, Content, Draft, Message, MessageKind, Receipt};
pub use page::{Direction, PageRequest};
pub use presence::{Attendance, Presence, PresenceChange, Status};
pub use retention::Retention;
pub use revocation::{Revocation, RevocationPage, Revoked};
pub use timestamp::Timestamp;
pub use user::{Dialect, Role, User};
