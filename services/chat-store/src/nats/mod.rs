//! The edge to NATS: serving gateways' requests, telling sockets what was committed, and telling
//! other services and hearing them.
//!
//! JetStream is for the last two, and for what gateways note: nothing of the chat depends on it.

mod calls;
mod inbound;
mod intake;
mod journal;
mod notifier;
mod out;
mod places;
mod presence;
mod publisher;
mod resume;
mod rpc;
mod serve;

pub use intake::{InLimits, InReader};
pub use journal::JournalStream;
pub use notifier::Notifier;
pub use out::{OutLimits, OutPublisher};
pub use publisher::Publisher;
pub use rpc::answer;
pub use serve::{ServeError, Server};
