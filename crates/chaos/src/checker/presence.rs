//! I12: who is online.

use std::collections::HashMap;

use super::{Violation, index::Index};
use crate::history::{Event, Record};

/// How long a user is gone before others are told, in microseconds, less what clocks may differ.
const GRACE: u64 = 7_500_000;

/// I12: in the end everybody is shown as they are, strangers as offline; and who comes back within
/// the grace was never gone.
pub(super) fn converges(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut told: HashMap<(&str, &str, &str), &Record> = HashMap::new();
    for record in index.records {
        let Event::Presence { key, args } = &record.event else {
            continue;
        };
        if args.is_final {
            let is_online = args.connected == Some(true) && args.is_contact;
            if args.online != is_online {
                let what = "somebody is shown otherwise than they are";
                found.push(Violation::new("I12", what, [record]));
            }
            continue;
        }
        if !args.is_contact {
            found.push(Violation::new("I12", "a stranger was told", [record]));
        }
        let before = told.insert((&record.proc, &args.user, key), record);
        if let Some(before) = before
            && let Event::Presence { args: last, .. } = &before.event
            && !last.online
            && args.online
            && record.t_invoke - before.t_invoke < GRACE
            && was_back(index, key, before.t_invoke)
            && !could_not_tell(index, before.t_invoke)
        {
            let what = "somebody who was only reconnecting was shown as gone";
            found.push(Violation::new("I12", what, [before, record]));
        }
    }
    found
}

/// Says whether, during the grace before `t`, who comes could not be made known: that takes a store,
/// NATS and Redis, and a store that waits for Postgres answers nobody.
fn could_not_tell(index: &Index<'_>, t: u64) -> bool {
    let in_the_way = |target: &String| {
        ["redis", "postgres", "nats", "machine", "s1", "s2"].contains(&target.as_str())
    };
    index.was_troubled(t.saturating_sub(GRACE), t, |fault| {
        fault.damage.targets.iter().any(in_the_way)
    })
}

/// Says whether a device of the user had been connected during the whole grace before `t`, but for
/// reconnecting.
fn was_back(index: &Index<'_>, person: &str, t: u64) -> bool {
    index.devices.iter().any(|(device, records)| {
        let is_theirs = device.split('.').next() == Some(person);
        let last = records.iter().rev().find(|record| {
            record.t_invoke <= t
                && matches!(
                    record.event,
                    Event::Connected { .. } | Event::Disconnected { .. }
                )
        });
        is_theirs
            && last.is_some_and(|record| match record.event {
                Event::Disconnected { .. } => t - record.t_invoke < GRACE,
                _ => true,
            })
    })
}
