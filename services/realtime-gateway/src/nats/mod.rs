//! The adapters to NATS: requests to chat-stores, signals to other gateways' sockets, streams between
//! gateways, and the connection on which everything for this gateway's users arrives.

mod interest;
mod peers;
mod protocol;
mod publisher;
mod requests;

pub use interest::{InterestConnection, InterestError};
pub use peers::carry;
pub use protocol::{Operation, Parser, ProtocolError};
pub use publisher::{NatsPublisher, Signals};
pub use requests::NatsRequests;
