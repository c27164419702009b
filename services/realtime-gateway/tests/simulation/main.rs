//! Everything that decides what a client is sent, under a network that loses, repeats, reorders and
//! delays, gateways that die, stores that are away, and clients that come and go. One thread, one
//! seed, no clock.
//!
//! The cores are the gateway's own: trackers, places of sockets, and what clients carry. Around them
//! are small models of the store with its outbox, of the broker, and of the stock client.
//! `SIMULATION_SEED=17 cargo test -p realtime-gateway --test simulation` runs one seed alone, and
//! says what happens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "whoever runs one seed wants to see it")]

mod client;
mod dice;
mod gateway;
mod store;
mod world;

use std::panic;

use world::World;

/// How many seeds there are: what CI bears.
const SEEDS: u64 = 3_000;

#[test]
fn every_client_sees_every_message_once_and_in_order() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        World::new(seed.parse().unwrap(), true).run();
        return;
    }
    let mut recovered = 0;
    let mut refilled = 0;
    for seed in 0..SEEDS {
        let outcome = panic::catch_unwind(|| World::new(seed, false).run());
        let Ok(counts) = outcome else {
            panic!("run it alone with SIMULATION_SEED={seed}");
        };
        recovered += counts.recovered;
        refilled += counts.refilled;
    }

    // It is about these; without any, nothing was tried.
    assert!(SEEDS < recovered, "{recovered} sessions were recovered");
    assert!(SEEDS < refilled, "{refilled} messages came by refills");
}
