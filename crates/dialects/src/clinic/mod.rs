//! The clinic dialect: admins and doctors by e-mail, one conversation per pair, root namespace.

mod body;

pub use body::MessageBody;
