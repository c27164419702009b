//! Every parser takes a committed corpus and what becomes of it: cut, repeated, crossed, with bits
//! turned and bytes that mean something put in. None panics, and each keeps its promise.
//!
//! The same inputs each time, and so many of them: this runs wherever tests do. The longer search is
//! cargo-fuzz's (`crates/socketio-protocol/fuzz`), on the same corpus.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says with which input"
)]

mod gateway;
mod mutate;
mod services;
mod socketio;

use mutate::{corpus, feed};
