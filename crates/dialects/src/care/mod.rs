//! The care dialect: doctor and patient, one conversation per pair, no rooms, namespace `/`.

mod body;
mod decode;
mod encode;
mod rest;

pub use body::{MessageBody, PairKey, PersonBody};
pub use decode::decode;
pub use encode::encode;
pub use rest::{ConversationBody, OnlineBody, Success, UnreadBody};
