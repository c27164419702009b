//! The edge to NATS: serving gateways' requests, telling sockets what was committed, and telling
//! other services.
//!
//! JetStream is for the last alone: nothing of the chat depends on it.

mod calls;
mod notifier;
mod out;
mod presence;
mod publisher;
mod resume;
mod rpc;
mod serve;

pub use notifier::Notifier;
pub use out::{OutLimits, OutPublisher};
pub use publisher::Publisher;
pub use rpc::answer;
pub use serve::{ServeError, Server};
