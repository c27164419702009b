//! What clients say and hear: the one place that knows event names, payloads and JSON keys.
//!
//! Each dialect is a module that decodes a client's event into a [`Command`] and encodes facts of
//! the domain into [`ServerEvent`]s; its bodies also serve the REST of that dialect. Nothing here
//! does I/O, keeps state, or decides who may do what beyond comparing a payload with the caller.
//!
//! # Adding an event
//!
//! A client's event is an arm of the dialect's `decode`, and a variant of [`Command`] if it asks
//! for something new. A server's event is a function of the dialect's `encode` module with a
//! snapshot of its JSON in `tests/`: clients depend on every key in it.

pub mod booking;
pub mod care;
pub mod clinic;
mod command;
pub mod consult;
mod event;
mod names;
mod text;

pub use command::{CallAction, CallCommand, Command, Send};
pub use event::{Rejection, ServerEvent};
pub use names::is_taken;
