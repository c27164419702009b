//! The care dialect: doctor and patient, one conversation per pair, no rooms, namespace `/`.

mod body;
mod decode;
mod encode;
mod rest;
mod vocabulary;

pub use body::{MessageBody, PairKey, PersonBody};
pub use decode::decode;
pub use encode::encode;
pub use rest::{ConversationBody, OnlineBody, Success, UnreadBody};
pub(crate) use vocabulary::VOCABULARY;
