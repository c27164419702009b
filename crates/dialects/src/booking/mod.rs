//! The booking dialect: client and business, one conversation per booking, namespace `/`.
//!
//! A socket hears of the bookings alone whose rooms it joined.

mod body;
mod decode;
mod encode;
mod rest;

pub use body::{MessageBody, PersonBody};
pub use decode::decode;
pub use encode::{ack, encode};
pub use rest::{ConversationBody, MarkedBody};
