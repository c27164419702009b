//! I10 and I11: calls, as rows, as both sides were told, and what was signalled.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Violation,
    index::{Fault, Index},
};
use crate::history::{CallRow, Event, Record};

/// How late the end of ringing may be decided, in microseconds.
const LATENESS: i64 = 1_500_000;
/// How long after a call its two may still be busy.
const BUSY: i64 = 5_000_000;
/// How late the news of an end may be, beyond any trouble.
const NEWS: u64 = 5_000_000;
/// How long a request may have been under way, at the most.
const UNDER_WAY: u64 = 5_000_000;

/// What says that a call is over.
const ENDS: [&str; 4] = [
    "call:ended",
    "call:rejected",
    "call:no-answer",
    "call:missed",
];
/// What says that a call concerns a device from now on.
const BEGINS: [&str; 4] = [
    "call:ringing",
    "call:incoming",
    "call:accepted",
    "call:connected",
];

/// I10: one row, one outcome, and everybody was told of it, once.
pub(super) fn one_outcome(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (record, call) in index.calls.values() {
        if let Some(what) = wrong_with(index, call) {
            found.push(Violation::new("I10", what, [*record]));
        }
    }
    found.extend(one_at_a_time(index));
    found.extend(as_seen(index));
    found.extend(as_told(index));
    found.extend(one_device(index));
    found.extend(ended_when_asked(index));
    found
}

fn wrong_with(index: &Index<'_>, call: &CallRow) -> Option<String> {
    let (Some(outcome), Some(ended_at)) = (call.outcome.as_deref(), call.ended_at) else {
        return Some("a call without an outcome".to_owned());
    };
    if call.messages != 1 {
        return Some(format!("{} messages tell of one call", call.messages));
    }
    if call.answered_at.is_some() != (outcome == "ended") {
        return Some(format!(
            "a call that is {outcome} and whose answer does not fit"
        ));
    }
    if call.abandoned && outcome != "cancelled" {
        // A loss of what Redis knew gives the caller as long again.
        let from = index.since_began(call.started_at);
        let until = index.since_began(ended_at);
        let mut faults = index.faults.iter().filter(|fault| hits(fault, &["redis"]));
        if !faults.any(|fault| fault.from < until && from < fault.to) {
            return Some(format!("the caller was gone, and the call is {outcome}"));
        }
    }
    if outcome == "no_answer" {
        let late = ended_at - call.rings_until;
        if late < 0 {
            return Some(format!("ringing ended {} us too early", -late));
        }
        // Redis decides, and after a loss Postgres tells it what there was.
        // What begins before that time is up may keep anybody from deciding in it.
        let due = index.since_began(call.rings_until + LATENESS);
        let trouble =
            index.troubled_until(due, |fault| hits(fault, &["redis", "postgres", "machine"]));
        if LATENESS < late && trouble < index.since_began(ended_at) {
            return Some(format!("ringing ended {late} us too late"));
        }
    }
    let is_busy = |other: &CallRow| {
        other.outcome.as_deref() != Some("busy")
            && shares_a_user(call, other)
            && other.started_at <= call.started_at
            && other
                .ended_at
                .is_none_or(|end| call.started_at <= end + BUSY)
    };
    let mut others = index.calls.values().map(|(_, other)| *other);
    (outcome == "busy" && !others.any(is_busy)).then(|| "busy, and nobody was in a call".to_owned())
}

fn hits(fault: &Fault<'_>, targets: &[&str]) -> bool {
    fault
        .damage
        .targets
        .iter()
        .any(|hit| targets.contains(&hit.as_str()))
}

fn shares_a_user(a: &CallRow, b: &CallRow) -> bool {
    [&a.caller, &a.callee]
        .iter()
        .any(|user| [&b.caller, &b.callee].contains(user))
}

/// Nobody is in two calls at the same time.
fn one_at_a_time(index: &Index<'_>) -> Vec<Violation> {
    let mut calls: Vec<_> = index.calls.values().collect();
    calls.retain(|(_, call)| call.outcome.as_deref() != Some("busy"));
    calls.sort_by_key(|(_, call)| call.started_at);
    let mut found = Vec::new();
    for (i, (record, call)) in calls.iter().enumerate() {
        let Some(end) = call.ended_at else { continue };
        let later = calls.iter().skip(i + 1);
        for (other, next) in later.take_while(|(_, next)| next.started_at < end) {
            if shares_a_user(call, next) {
                let what = "somebody was in two calls at the same time";
                found.push(Violation::new("I10", what, [*record, *other]));
            }
        }
    }
    found
}

/// REST tells both sides what the row says.
fn as_seen(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut seen: HashMap<&str, u64> = HashMap::new();
    for record in index.records {
        let Event::CallSeen { key, args, result } = &record.event else {
            continue;
        };
        *seen.entry(key).or_default() += 1;
        let row = index.calls.get(key.as_str());
        let agrees = row.is_some_and(|(_, call)| {
            call.outcome == *result && [&call.caller, &call.callee].contains(&&args.user)
        });
        if !agrees {
            let what = "REST tells of a call otherwise than its row";
            let all = std::iter::once(record).chain(row.map(|(row, _)| *row));
            found.push(Violation::new("I10", what, all));
        }
    }
    for (id, (record, _)) in &index.calls {
        if seen.get(id) != Some(&2) {
            found.push(Violation::new(
                "I10",
                "a call that not both sides see",
                [*record],
            ));
        }
    }
    found
}

/// What one socket heard and asked about one call.
#[derive(Default)]
struct Ear<'a> {
    began: Option<&'a Record>,
    /// The end that it heard, unless it began again: a caller who went on on another device and came
    /// back to this one hears it for each.
    over: Option<&'a Record>,
    /// Two ends without a beginning between them.
    twice: Option<(&'a Record, &'a Record)>,
    ends: Vec<(&'a Record, &'a str, Option<&'a str>)>,
    /// It ended the call itself.
    did_it: bool,
}

/// By socket and call.
type Ears<'a> = BTreeMap<(u64, &'a str), Ear<'a>>;

/// Each socket that heard of a call heard once that it was over, and how it really ended.
fn as_told(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (device, records) in &index.devices {
        let (ears, until) = listen(records);
        for ((session, id), ear) in &ears {
            let Some((row, call)) = index.calls.get(id) else {
                let what = "news of a call that there never was";
                found.push(Violation::new("I10", what, ear.began));
                continue;
            };
            if let Some((first, second)) = ear.twice
                && !takes_over(index, device, second, call)
            {
                let what = "one socket heard twice that a call was over";
                found.push(Violation::new("I10", what, [first, second, *row]));
            }
            for (record, event, reason) in &ear.ends {
                if !fits(event, *reason, call) {
                    let what = format!("{event} tells of a call that is {:?}", call.outcome);
                    found.push(Violation::new("I10", what, [*record, *row]));
                }
            }
            let (Some(began), Some(ended_at)) = (ear.began, call.ended_at) else {
                continue;
            };
            let over = index.since_began(ended_at).max(began.t_invoke);
            let told_by = index.troubled_until(over + NEWS, |_| true) + NEWS;
            let stayed = until.get(session).is_none_or(|until| told_by < *until);
            if stayed && ear.ends.is_empty() && !ear.did_it {
                let what = "a socket that heard of a call never heard that it was over";
                found.push(Violation::new("I10", what, [began, row]));
            }
        }
    }
    found
}

/// Sorts what a device heard by socket and call; also returns when each socket was gone.
fn listen<'a>(records: &[&'a Record]) -> (Ears<'a>, HashMap<u64, u64>) {
    let mut ears = Ears::new();
    let mut until = HashMap::new();
    for record in records {
        match &record.event {
            Event::Told { key, args } if args.event.starts_with("call:") && !key.is_empty() => {
                let ear = ears.entry((args.session, key)).or_default();
                if BEGINS.contains(&args.event.as_str()) {
                    ear.began = ear.began.or(Some(record));
                    ear.over = None;
                } else if ENDS.contains(&args.event.as_str()) {
                    if let Some(first) = ear.over.replace(record) {
                        ear.twice = ear.twice.or(Some((first, record)));
                    }
                    ear.ends.push((record, &args.event, args.reason.as_deref()));
                }
            }
            Event::Asked {
                key: Some(key),
                args,
                result,
            } => {
                if args.action == "initiate" {
                    ears.entry((args.session, key)).or_default().over = None;
                }
                // Unanswered, it may have done it; refused as late, somebody else has.
                let is_end = ["end", "reject", "hang_up"].contains(&args.action.as_str());
                let may_have = result
                    .as_deref()
                    .is_none_or(|result| result.starts_with("call:"));
                if is_end && may_have {
                    ears.entry((args.session, key)).or_default().did_it = true;
                }
            }
            Event::Disconnected { args } => drop(until.insert(args.session, record.t_invoke)),
            _ => {}
        }
    }
    // Whoever did it on one socket need not be told on the next.
    let done: Vec<_> = ears
        .iter()
        .filter(|(_, ear)| ear.did_it)
        .map(|((_, call), _)| *call)
        .collect();
    for ((_, call), ear) in &mut ears {
        ear.did_it |= done.contains(call);
    }
    (ears, until)
}

/// Says whether an event may tell of a call that ended like that.
fn fits(event: &str, reason: Option<&str>, call: &CallRow) -> bool {
    let outcome = call.outcome.as_deref().unwrap_or_default();
    match (event, reason) {
        ("call:ended", Some("answered_elsewhere")) => call.answered_at.is_some(),
        ("call:ended", Some("declined_elsewhere")) => outcome == "rejected",
        // A call that goes on on another device of the caller is over on this one.
        ("call:ended", _) => ["ended", "cancelled", "no_answer", "rejected"].contains(&outcome),
        ("call:rejected", Some("Busy")) => ["busy", "rejected"].contains(&outcome),
        ("call:rejected", _) => outcome == "rejected",
        ("call:no-answer", _) => outcome == "no_answer",
        ("call:missed", _) => ["no_answer", "cancelled"].contains(&outcome),
        _ => false,
    }
}

/// Only one device of the callee is in the call, unless that one was disconnected before.
fn one_device(index: &Index<'_>) -> Vec<Violation> {
    let mut taken: HashMap<&str, (&str, &Record)> = HashMap::new();
    let mut found = Vec::new();
    for record in index.records {
        let Event::Told { key, args } = &record.event else {
            continue;
        };
        let call = index.calls.get(key.as_str());
        let is_callee = call.is_some_and(|(_, call)| call.callee == args.user);
        if args.event != "call:connected" || !is_callee {
            continue;
        }
        if let Some((device, before)) = taken.insert(key, (&record.proc, record))
            && device != record.proc
            && !(was_gone(index, device, before.t_invoke, record.t_invoke)
                && call.is_some_and(|(_, call)| came_later(index, &record.proc, record, call)))
        {
            let what = "two devices were connected to one call";
            found.push(Violation::new("I10", what, [before, record]));
        }
    }
    found
}

/// Whoever was connected and hung up, and heard no complaint, is out of the call.
fn ended_when_asked(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for records in index.devices.values() {
        let mut connected: HashMap<&str, &Record> = HashMap::new();
        for record in records {
            match &record.event {
                Event::Told { key, args } if is_connection(&args.event) => {
                    connected.insert(key, record);
                }
                Event::Asked {
                    key: Some(key),
                    args,
                    result: Some(result),
                } => {
                    let is_heard = args.action == "end" && result == "call:end";
                    let was_connected = connected.get(key.as_str()).filter(|_| is_heard);
                    let (Some(before), Some((row, call))) =
                        (was_connected, index.calls.get(key.as_str()))
                    else {
                        continue;
                    };
                    let asked = record.t_done.unwrap_or(record.t_invoke);
                    let over_by = index.troubled_until(asked + NEWS, |_| true) + NEWS;
                    let over = call.ended_at.map_or(u64::MAX, |end| index.since_began(end));
                    if over_by < over {
                        let what = "a call went on after somebody in it had hung up";
                        found.push(Violation::new("I10", what, [*before, *record, *row]));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

fn was_gone(index: &Index<'_>, device: &str, from: u64, to: u64) -> bool {
    let records = index.devices.get(device).map_or(&[][..], Vec::as_slice);
    records.iter().any(|record| {
        matches!(record.event, Event::Disconnected { .. }) && (from..to).contains(&record.t_invoke)
    })
}

/// I11: what is signalled reaches a device that is in the call, in the order of its sender.
///
/// A device is known by its user alone: one that comes since the call began, while another of its user
/// is gone, takes that one's place. What was told to a connection that was lost may be told again to
/// the next: nobody knows whether it was heard.
pub(super) fn signals_reach_who_accepted(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (device, records) in &index.devices {
        let mut connected: HashSet<&str> = HashSet::new();
        let mut places: HashMap<(&str, &str), (u64, &Record)> = HashMap::new();
        let mut heard: HashMap<(u64, &str, &str, u64), &Record> = HashMap::new();
        for record in records {
            let Event::Told { key, args } = &record.event else {
                continue;
            };
            if is_connection(&args.event) {
                connected.insert(key);
            }
            if !args.event.starts_with("webrtc:") {
                continue;
            }
            let call = index.calls.get(key.as_str()).map(|(_, call)| *call);
            let takes_over = || call.is_some_and(|call| takes_over(index, device, record, call));
            if !connected.contains(key.as_str()) && !takes_over() {
                let what = "a signal reached a device that is not in the call";
                found.push(Violation::new("I11", what, [*record]));
            }
            if args.meant.as_ref().is_some_and(|meant| meant != key) {
                let what = "a signal that was meant for another call";
                found.push(Violation::new("I11", what, [*record]));
                continue;
            }
            let (place, by) = (args.place.unwrap_or(0), args.by.as_str());
            if let Some(before) = heard.insert((args.session, key, by, place), record)
                && !was_forgotten(index, before)
            {
                let what = "one socket heard a signal twice";
                found.push(Violation::new("I11", what, [before, record]));
            }
            let (last, earlier) = places.entry((key, by)).or_insert((place, record));
            let again = is_repeated(records, record) || was_forgotten(index, record);
            if place < *last && !again {
                let what = "signals changed places";
                found.push(Violation::new("I11", what, [*earlier, *record]));
            } else {
                (*last, *earlier) = (place.max(*last), record);
            }
        }
    }
    found
}

fn is_connection(event: &str) -> bool {
    event == "call:connected" || event == "call:accepted"
}

/// Says whether a device may have taken the place of another one of the same person: that one was gone
/// since the call began, and this one came since then.
fn takes_over(index: &Index<'_>, device: &str, record: &Record, call: &CallRow) -> bool {
    let from = index.since_began(call.started_at);
    let person = device.split('.').next();
    let mut devices = index.devices.keys();
    came_later(index, device, record, call)
        && devices.any(|other| {
            other.split('.').next() == person && was_gone(index, other, from, record.t_invoke)
        })
}

/// Says whether the connection over which a device heard something was made since the call began on
/// its side, or while a request of the device before it was under way.
fn came_later(index: &Index<'_>, device: &str, record: &Record, call: &CallRow) -> bool {
    let Event::Told { args, .. } = &record.event else {
        return false;
    };
    let began = if call.callee == args.user {
        call.answered_at
    } else {
        Some(call.started_at)
    };
    let records = index.devices.get(device).map_or(&[][..], Vec::as_slice);
    let came = records.iter().find_map(|record| match &record.event {
        Event::Connected { args: link } if link.session == args.session => record.t_done,
        _ => None,
    });
    let since = began.map(|began| index.since_began(began).saturating_sub(UNDER_WAY));
    since.zip(came).is_some_and(|(since, came)| since <= came)
}

/// Says whether Redis may have forgotten what the sender asked last: a signal of which the answer was
/// lost then takes two places.
fn was_forgotten(index: &Index<'_>, heard: &Record) -> bool {
    let until = heard.t_invoke;
    index.was_troubled(until.saturating_sub(NEWS), until, |fault| {
        hits(fault, &["redis"])
    })
}

/// Says whether the device had heard the same signal over an earlier connection.
fn is_repeated(records: &[&Record], record: &Record) -> bool {
    let Event::Told {
        key: call,
        args: now,
    } = &record.event
    else {
        return false;
    };
    let mut before = records
        .iter()
        .take_while(|earlier| !std::ptr::eq(**earlier, record));
    before.any(|earlier| {
        matches!(&earlier.event, Event::Told { key, args }
            if key == call && (&args.by, args.place) == (&now.by, now.place)
                && args.session < now.session && args.event.starts_with("webrtc:"))
    })
}
