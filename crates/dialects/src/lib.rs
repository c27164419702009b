//! What clients say and hear: the one place that knows event names, payloads and JSON keys.
//!
//! Each dialect is a module that decodes a client's event into a [`Command`] and encodes a [`Fact`] into
//! [`ServerEvent`]s; its bodies also serve the REST of that dialect. Nothing here
//! does I/O, keeps state, or decides who may do what beyond comparing a payload with the caller.
//!
//! # Adding an event
//!
//! A client's event is an arm of the dialect's `decode`, and a variant of [`Command`] if it asks
//! for something new. A server's event is an arm of the dialect's `encode`, and a variant of [`Fact`]
//! if nothing like it was told before, with a snapshot of its JSON in `tests/`: clients depend on
//! every key in it.

pub mod booking;
pub mod care;
pub mod clinic;
mod command;
mod common;
pub mod consult;
pub mod describe;
mod dialect;
mod event;
mod fact;
mod names;
mod payload;
mod text;
mod upload;

pub use command::{CallAction, CallCommand, Command, MarkRead, Send};
pub use dialect::{Terms, ack, answer, attachments, declared, decode, echoes, encode, namespace};
pub use event::{ReadyBody, Rejection, ServerEvent};
pub use fact::{Fact, Failure, Synced};
pub use names::is_taken;
pub use text::{Spelled, Text};
pub use upload::{SnakeUploadBody, UploadBody};
