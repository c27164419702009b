//! The clinic dialect: staff known by e-mail, one conversation per pair, namespace `/`.
//!
//! Users' ids are their e-mail addresses in lower case.

mod body;
mod decode;
mod encode;

pub use body::MessageBody;
pub use decode::decode;
pub use encode::encode;
