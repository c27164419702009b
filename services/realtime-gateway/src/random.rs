//! Randomness for spreading load. Never for secrets.

use std::time::Duration;

use uuid::Uuid;

/// Returns 64 random bits.
#[must_use]
pub(crate) fn bits() -> u64 {
    // Each half of a UUIDv4 has fixed bits; turned so, they meet random ones of the other.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    high ^ low.rotate_left(32)
}

/// Returns a duration between half of `about` and one and a half of it.
#[must_use]
pub(crate) fn jitter(about: Duration) -> Duration {
    let permille = u32::try_from(bits() % 1_000).unwrap_or_default();
    about / 2 + about * permille / 1_000
}
