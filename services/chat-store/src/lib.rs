//! chat-store: everything durable of the chat, and the only service that talks to Postgres.

pub mod app;
pub mod http;
pub mod metrics;
pub mod pg;
pub mod ports;
