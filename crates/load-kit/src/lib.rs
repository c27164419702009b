//! What the load generator and the fault suite share: what runs where, people to be, and a raw client.
//!
//! No measuring and no faults; and no code of the services, so that a mistake there is not made here.

pub mod client;
pub mod endpoints;
mod stream;
pub mod users;

pub use client::Client;
pub use endpoints::Endpoints;
pub use users::{Pair, User};
