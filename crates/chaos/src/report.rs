//! What people are told: progress, and in the end how it went.

#![expect(clippy::print_stderr, reason = "its output is what the tool is for")]

use std::{fmt::Write as _, time::Duration};

use crate::{checker::Violation, faults::Site, recorder::Recorder, round::Verdict};

/// How often progress is told.
const PERIOD: Duration = Duration::from_secs(10);
/// Most violations that are told in full.
const MAX_TOLD: usize = 20;
/// Most lines of evidence of one.
const MAX_EVIDENCE: usize = 12;

/// Tells progress until it is cancelled.
pub async fn progress(recorder: Recorder, site: Site) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let operations: u64 = recorder.operations().values().sum();
        let seconds = recorder.now() / 1_000_000;
        let faults = site.injected();
        let unhealed = recorder.operations().get("count").copied().unwrap_or(0);
        eprintln!(
            "chaos: {seconds} s, {faults} faults, {operations} records, {unhealed} violations so far"
        );
    }
}

/// Says what is going on.
pub fn say(text: &str) {
    eprintln!("chaos: {text}");
}

/// Adds up rounds, and tells them.
#[derive(Debug, Default)]
pub struct Total {
    rounds: u64,
    operations: std::collections::BTreeMap<String, u64>,
    faults: std::collections::BTreeMap<String, u64>,
    violations: Vec<(u64, Violation)>,
}

impl Total {
    /// Adds a round.
    pub fn add(&mut self, seed: u64, verdict: Verdict) {
        self.rounds += 1;
        for (kind, count) in verdict.operations {
            *self.operations.entry(kind).or_default() += count;
        }
        for (kind, count) in verdict.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        let found = verdict
            .violations
            .into_iter()
            .map(|violation| (seed, violation));
        self.violations.extend(found);
    }

    /// Adds what a history shows that is judged again.
    pub fn judge(&mut self, violations: Vec<Violation>) {
        self.rounds += 1;
        self.violations
            .extend(violations.into_iter().map(|violation| (0, violation)));
    }

    /// Returns how many faults there were.
    #[must_use]
    pub fn n_faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Tells whether nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.violations.is_empty()
    }

    /// Tells everything.
    pub fn tell(&self) {
        let mut text = String::new();
        // Writing to a string never fails.
        let _ = writeln!(text, "\noperations");
        for (kind, count) in &self.operations {
            let _ = writeln!(text, "  {count:>8}  {kind}");
        }
        let _ = writeln!(text, "faults");
        for (kind, count) in &self.faults {
            let _ = writeln!(text, "  {count:>8}  {kind}");
        }
        for (seed, violation) in self.violations.iter().take(MAX_TOLD) {
            let Violation {
                invariant,
                what,
                evidence,
            } = violation;
            let _ = writeln!(text, "\nVIOLATION of {invariant} (seed {seed}): {what}");
            for line in evidence.iter().take(MAX_EVIDENCE) {
                let _ = writeln!(text, "    {line}");
            }
        }
        let _ = writeln!(
            text,
            "\n{} faults in {} rounds, {} violations",
            self.n_faults(),
            self.rounds,
            self.violations.len()
        );
        eprint!("{text}");
    }
}
