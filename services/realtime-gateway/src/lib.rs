//! The realtime gateway: holds clients' sockets, and nothing that may not be lost.
//!
//! From the socket inwards:
//!
//! * [`transport`]: Engine.IO and Socket.IO over WebSocket and HTTP long-polling;
//! * [`events`]: the chat as the transports' application, one handler per event;
//! * [`session`], [`registry`]: what is remembered of a socket, of a user, of a conversation;
//! * [`delivery`]: from published events to sockets, in order and without gaps;
//! * [`journal`]: what became of each message, for whoever asks why one did not arrive;
//! * [`peers`]: streams to the other gateways, for requests that belong there;
//! * [`calls`]: what the stores decided about calls, told to the right devices;
//! * [`presence`]: what becomes of others, told once;
//! * [`demo`]: a small client to try it all with, in development;
//! * [`store`]: the chat-store as a typed client; [`nats`]: the adapters behind [`ports`].
//!
//! Kill it at any time: what was confirmed to a client is in the database, and what was not is
//! repeated by the client. It does not talk to Postgres.

pub mod calls;
pub mod config;
pub mod delivery;
pub mod demo;
pub mod events;
pub mod headcount;
pub mod journal;
pub mod limits;
pub mod metrics;
pub mod nats;
pub mod peers;
pub mod ports;
pub mod presence;
pub mod quotas;
mod random;
pub mod registry;
pub mod revocations;
pub mod session;
pub mod store;
pub mod transport;
mod wire;
pub mod wiring;
