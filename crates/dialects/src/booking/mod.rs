//! The booking dialect: client and business, one conversation per booking, namespace `/`.
//!
//! A socket hears of the bookings alone whose rooms it joined.

mod body;
mod decode;
mod encode;
mod rest;
mod vocabulary;

pub use body::{MessageBody, PersonBody};
pub use decode::decode;
pub(crate) use encode::FailedAck;
pub use encode::{ack, encode};
pub use rest::{ConversationBody, MarkedBody};
pub(crate) use vocabulary::VOCABULARY;
