//! Judges a history: one function for each invariant of docs/FAULTS.md, over records alone.
//!
//! Each says what is wrong and shows the records. A history without violations proves nothing that is
//! not in it: `tests` holds a doctored one against each invariant, so that each is known to see.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an invariant looks at the few kinds of records that it is about"
)]

mod calls;
mod counts;
mod index;
mod messages;
mod presence;
mod privacy;
mod reads;
mod streams;

#[cfg(test)]
mod tests;

use crate::history::Record;
use index::Index;

/// Something that must not be.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which invariant: `I1` to `I16`.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: String,
    /// The records that show it.
    pub evidence: Vec<String>,
}

impl Violation {
    fn new<'a>(
        invariant: &'static str,
        what: impl Into<String>,
        evidence: impl IntoIterator<Item = &'a Record>,
    ) -> Self {
        let line = |record| serde_json::to_string(record).unwrap_or_default();
        Self {
            invariant,
            what: what.into(),
            evidence: evidence.into_iter().map(line).collect(),
        }
    }
}

/// Every invariant.
const INVARIANTS: [fn(&Index<'_>) -> Vec<Violation>; 15] = [
    messages::no_holes,
    messages::confirmed_is_stored,
    messages::stored_was_sent,
    // I4 and I5: a stream is judged once, and named after what it claimed.
    streams::whole_and_in_order,
    messages::real_time,
    messages::first_in_first_out,
    reads::history_is_what_is_stored,
    reads::read_stays_read,
    calls::one_outcome,
    calls::signals_reach_who_accepted,
    presence::converges,
    privacy::isolated,
    privacy::nothing_leaks,
    counts::nothing_is_left,
    counts::draining_is_gentle,
];

/// Returns everything that is wrong.
#[must_use]
pub fn check(records: &[Record]) -> Vec<Violation> {
    let index = Index::of(records);
    INVARIANTS.iter().flat_map(|judge| judge(&index)).collect()
}
