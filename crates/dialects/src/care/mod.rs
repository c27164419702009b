//! The care dialect: doctor and patient, one conversation per associated pair, root namespace.

mod body;

pub use body::{MessageBody, PairKey, PersonBody};
