//! The clinic dialect: staff known by e-mail, one conversation per pair, namespace `/`.
//!
//! Users' ids are their e-mail addresses in lower case.

mod body;
mod decode;
mod encode;
mod rest;
mod vocabulary;

pub use body::MessageBody;
pub use decode::{declared, decode};
pub use encode::encode;
pub use rest::{ConversationBody, ReadBody, UnreadBody, UserBody};
pub use vocabulary::MESSAGE;
pub(crate) use vocabulary::VOCABULARY;
