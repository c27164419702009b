//! The edge to NATS: serving gateways' requests, and telling sockets what was committed.
//!
//! What is deliberately absent: JetStream. Nothing that may not be lost depends on NATS.

mod calls;
mod notifier;
mod publisher;
mod resume;
mod rpc;
mod serve;

pub use notifier::Notifier;
pub use publisher::Publisher;
pub use rpc::answer;
pub use serve::{ServeError, Server};
