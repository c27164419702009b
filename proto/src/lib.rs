//! Wire types between the services: protobuf messages, NATS subjects, and their way to and from the
//! domain.
//!
//! # Changing the wire
//!
//! Two releases run side by side during a deploy. So fields are only ever added, numbers are never
//! reused, and a reader ignores what it does not know: an [`v1::Envelope`] of an unknown kind decodes
//! with an empty body and is dropped. What cannot be expressed that way gets a `v2` beside `v1`, and
//! both are served for one release.
//!
//! What is deliberately absent: I/O, and anything that clients see (that is `dialects`).

mod convert;
mod convert_calls;
mod convert_presence;
mod convert_revocations;
mod convert_signals;
mod inbound;
pub mod subject;

pub use convert::{WireError, failure, reply};

/// The generated types.
#[expect(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/chat.v1.rs"));
}

/// The largest request or event, in bytes: nats-server's default is 1 MiB.
pub const MAX_PAYLOAD: usize = 1_000_000;

/// An id that travels as its 16 bytes.
pub trait WireId: Sized {
    /// Returns the bytes.
    fn to_wire(self) -> bytes::Bytes;

    /// Reads the bytes.
    ///
    /// # Errors
    ///
    /// Returns [`WireError::Field`] unless there are 16 of them.
    fn from_wire(bytes: &[u8]) -> Result<Self, WireError>;
}
