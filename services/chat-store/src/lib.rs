//! chat-store: everything durable of the chat, and the only service that talks to Postgres.
//!
//! `app` holds the use cases on the ports of `ports` and `ports_*`; `pg`, `nats` and `redis`
//! implement these; `http` and `nats` are the edges that call the use cases; `wiring` puts all of it
//! together. Adapters never name each other.
//!
//! # Adding a query
//!
//! Say what is needed as a method of a trait in `ports`; write the statement in the file of its table
//! in `pg`, naming itself (`SELECT /* bookings.find */ …`), and delegate to it in `pg/mod.rs`; run
//! `cargo xtask sqlx`, which checks it against the schema and writes `.sqlx`. A statement that touches
//! `messages` must bound `created_at`, or it opens every partition there is: `tests/it/plans.rs`
//! shows how that is proved.
//!
//! What is deliberately absent: sockets, and any state that a second replica would have to
//! share.

pub mod app;
pub mod config;
pub mod files;
pub mod http;
pub mod metrics;
pub mod nats;
pub mod pg;
pub mod ports;
pub mod ports_audit;
pub mod ports_calls;
pub mod ports_directory;
pub mod ports_files;
pub mod ports_in;
pub mod ports_journey;
pub mod ports_out;
pub mod ports_overview;
pub mod ports_presence;
pub mod ports_records;
pub mod ports_revocations;
pub mod redis;
pub mod wiring;
