//! What tests of several crates need: databases, brokers, and waiting without sleeping.
//!
//! | need | helper |
//! |---|---|
//! | a database of one's own, migrated | [`postgres::Database`] |
//! | the broker of the test run | [`nats::connect`] |
//! | a broker that can be stopped, or that nobody else uses | [`nats::Server`] |
//! | keys of one's own in Redis | [`redis::Namespace`] |
//! | certificates, and TLS in front of a server | [`tls::Authority`], [`tls::door`] |
//! | to wait for something that happens soon | [`eventually`] |
//!
//! The servers come from the environment that `cargo xtask test` sets: `DATABASE_URL` is an address
//! whose user may create databases, `NATS_URL` one of a broker that all tests share. Tests share no
//! app and no user, so they share no subject.
//!
//! What is deliberately absent: anything of the services. Their tests bring their own migrations and
//! their own wiring.

mod eventually;
pub mod nats;
pub mod postgres;
pub mod redis;
pub mod tls;

pub use eventually::eventually;
