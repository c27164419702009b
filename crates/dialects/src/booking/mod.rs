//! The booking dialect: client and business, one conversation per booking, root namespace.

mod body;

pub use body::{MessageBody, PersonBody};
