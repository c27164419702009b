//! I15 and I16: what must be gone at the end, and how processes end that are asked to.

use super::{
    Violation,
    index::{Fault, Index},
};
use crate::{history::Event, workload::APART};

/// How long a client may take to be back that a draining gateway sent away, in microseconds.
const BACK: u64 = 5_000_000;
/// How a process ends that could not finish in time.
const CUT_SHORT: &str = "exit status: 1";

/// I15: nothing is left over, and everything that broke was mended.
pub(super) fn nothing_is_left(index: &Index<'_>) -> Vec<Violation> {
    let wrong = index
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Count { key, args, result } => {
                let is_right = (args.at_least..=args.at_most).contains(result);
                (!is_right).then(|| Violation::new("I15", format!("{key}: {result}"), [record]))
            }
            _ => None,
        });
    wrong.collect()
}

/// I16: who is asked to end does so without complaint, and its clients are back soon. That nothing
/// confirmed was lost is I2.
pub(super) fn draining_is_gentle(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for record in index.records {
        let Event::Drained { key, result } = &record.event else {
            continue;
        };
        let (from, to) = (record.t_invoke, record.t_done.unwrap_or(u64::MAX));
        let is_alone = !index
            .faults
            .iter()
            .any(|fault| is_another(fault, key, from, to));
        // What can't be finished because something else is broken is dropped, and said so.
        let is_excused = result == CUT_SHORT && !is_alone;
        if result != "ok" && !is_excused {
            let what = format!("{key} was asked to end, and: {result}");
            found.push(Violation::new("I16", what, [record]));
        }
        if is_alone && key.starts_with('g') {
            found.extend(slow_returns(index, from, to));
        }
    }
    found
}

fn is_another(fault: &Fault<'_>, name: &str, from: u64, to: u64) -> bool {
    let is_this = fault.damage.targets.iter().any(|target| target == name);
    !is_this && fault.from < to.saturating_add(BACK) && from < fault.to.saturating_add(BACK)
}

fn slow_returns(index: &Index<'_>, from: u64, to: u64) -> Vec<Violation> {
    let mut found = Vec::new();
    for records in index.devices.values() {
        let mut gone = None;
        for record in records {
            match &record.event {
                Event::Disconnected { args } if args.note != "flapped" => {
                    gone = (from..to).contains(&record.t_invoke).then_some(*record);
                }
                Event::Connected { args } => {
                    if let Some(gone) = gone.take()
                        && args.note != APART
                        && let Some(back) = record.t_done
                        && BACK < back - gone.t_invoke
                    {
                        let what = "a client of a draining gateway was away for long";
                        found.push(Violation::new("I16", what, [gone, record]));
                    }
                }
                _ => {}
            }
        }
    }
    found
}
