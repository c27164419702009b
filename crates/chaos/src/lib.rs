//! The fault suite: breaks a running system while people chat and call, writes down what everybody
//! saw, and checks that history against what the system promises. `cargo xtask chaos` runs it; what
//! it does is in docs/FAULTS.md.
//!
//! Nothing here knows the code of the services: it sees what their clients see, and the rows. Of NATS
//! it knows which subjects are of users.

pub mod checker;
pub mod clocks;
pub mod collect;
pub mod control;
pub mod deliveries;
pub mod faults;
pub mod history;
pub mod patience;
pub mod people;
pub mod proxy;
pub mod recorder;
pub mod report;
pub mod rng;
pub mod round;
pub mod socket;
pub mod workload;
