//! I8 and I9: what REST shows, and what was read.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Violation, index::Index};
use crate::history::{Event, Marking, Message, Outcome, Record, Window};

/// I8: a page is a window of what is stored: no hole, nothing else, in the order asked for, from
/// where it was asked for, and with everything that was confirmed before.
pub(super) fn history_is_what_is_stored(index: &Index<'_>) -> Vec<Violation> {
    let mut confirmed: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for send in &index.sends {
        if let (Some(Outcome::Stored(message)), Some(t_done)) = (send.result, send.record.t_done) {
            let of_talk = confirmed.entry(&send.args.conversation).or_default();
            of_talk.push((t_done, message.seq));
        }
    }
    let mut found = Vec::new();
    for record in index.records {
        if let Event::Page { key, args, result } = &record.event {
            let before = confirmed.get(key.as_str()).map_or(&[][..], Vec::as_slice);
            let before = before
                .iter()
                .filter(|(t_done, _)| *t_done < record.t_invoke);
            let newest = before.map(|(_, seq)| *seq).max().unwrap_or(0);
            if let Some(what) = wrong_with(index, key, args, result, newest) {
                found.push(Violation::new("I8", what, [record]));
            }
        }
    }
    found
}

fn wrong_with(
    index: &Index<'_>,
    talk: &str,
    window: &Window,
    page: &[Message],
    newest: u64,
) -> Option<&'static str> {
    let mut page: Vec<_> = page.iter().collect();
    if !window.ascending {
        page.reverse();
    }
    if page
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if b.seq != a.seq + 1))
    {
        return Some("a page with a hole, or in the wrong order");
    }
    let is_stored = |message: &&Message| {
        let row = index.row(talk, message.seq);
        row.is_some_and(|row| row.message.is_same(message))
    };
    if !page.iter().all(is_stored) {
        return Some("a page with something other than the stored messages");
    }
    let count = page.len() as u64;
    let (first, last) = (
        page.first().map_or(0, |m| m.seq),
        page.last().map_or(0, |m| m.seq),
    );
    if window.limit < count {
        return Some("a page that is too long");
    }
    if let Some(after) = window.after {
        let begins_there = count == 0 || first == after + 1;
        let is_whole = count == window.limit || newest <= last.max(after);
        return (!(begins_there && is_whole)).then_some("a page that does not follow its place");
    }
    let top = window
        .before
        .map_or(u64::MAX, |before| before.saturating_sub(1));
    let ends_there = last <= top && newest.min(top) <= last;
    let is_whole = count == window.limit || first <= 1;
    (!(ends_there && is_whole)).then_some("a page that does not end at its place")
}

/// I9: read stays read, is marked once, and the counters of unread messages agree.
pub(super) fn read_stays_read(index: &Index<'_>) -> Vec<Violation> {
    let mut found = going_back(index);
    found.extend(marked_twice(index));
    found.extend(counters(index));
    found
}

/// When each message was first seen or made read, and when last seen unread.
fn going_back(index: &Index<'_>) -> Vec<Violation> {
    let mut read: HashMap<&str, (u64, &Record)> = HashMap::new();
    let mut unread: HashMap<&str, (u64, &Record)> = HashMap::new();
    let mut is_read = |id, t, record| {
        let first = read.entry(id).or_insert((t, record));
        if t < first.0 {
            *first = (t, record);
        }
    };
    for record in index.records {
        let Some(t_done) = record.t_done else {
            continue;
        };
        match &record.event {
            Event::Page { result, .. } => {
                for message in result {
                    if message.is_read {
                        is_read(message.id.as_str(), t_done, record);
                    } else {
                        let last = unread.entry(&message.id).or_insert((0, record));
                        if last.0 < record.t_invoke {
                            *last = (record.t_invoke, record);
                        }
                    }
                }
            }
            Event::Read {
                result: Some(ids), ..
            } => {
                for id in ids {
                    is_read(id.as_str(), t_done, record);
                }
            }
            _ => {}
        }
    }
    for row in index
        .rows
        .values()
        .flatten()
        .filter(|row| !row.message.is_read)
    {
        // Who lost their connection had asked before that: it may be marked after this was seen.
        let seen = row.record.t_invoke;
        let last = unread.entry(&row.message.id).or_insert((0, row.record));
        if last.0 < seen {
            *last = (seen, row.record);
        }
    }
    let back = unread.into_iter().filter_map(|(id, (at, later))| {
        let (t_done, earlier) = read.get(id)?;
        (*t_done < at).then(|| {
            Violation::new(
                "I9",
                format!("{id} was read and then was not"),
                [*earlier, later],
            )
        })
    });
    back.collect()
}

fn marked_twice(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut marked: HashMap<&str, &Record> = HashMap::new();
    for record in index.records {
        let Event::Read {
            args,
            result: Some(ids),
            ..
        } = &record.event
        else {
            continue;
        };
        for id in ids {
            if !args.ids.contains(id) {
                let what = format!("{id} was marked and nobody asked for it");
                found.push(Violation::new("I9", what, [record]));
            }
            if let Some(other) = marked.insert(id, record) {
                found.push(Violation::new(
                    "I9",
                    format!("{id} was marked twice"),
                    [other, record],
                ));
            }
        }
    }
    found
}

fn counters(index: &Index<'_>) -> Vec<Violation> {
    let mut marks: BTreeMap<&str, Vec<(&Record, &Marking)>> = BTreeMap::new();
    for record in index.records {
        if let Event::Read { key, args, .. } = &record.event {
            marks.entry(key).or_default().push((record, args));
        }
    }
    let mut found = Vec::new();
    for record in index.records {
        let (key, args, result) = match &record.event {
            Event::UnreadRow { key, args, result } => {
                let rows = index.rows_of(key).iter().map(|row| row.message);
                let unread = rows
                    .filter(|m| m.sender_id != args.user && !m.is_read)
                    .count();
                if *result != unread as u64 {
                    let what = format!("{unread} messages are unread, and the counter is {result}");
                    found.push(Violation::new("I9", what, [record]));
                }
                continue;
            }
            Event::Unread { key, args, result } => (key, args, result),
            _ => continue,
        };
        let marks = marks.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let (least, most) = bounds(index, record, key, &args.user, marks);
        if *result < least || most < *result {
            let what = format!("{result} unread, where {least} to {most} can be");
            found.push(Violation::new("I9", what, [record]));
        }
    }
    found
}

/// Returns the least and the most that may be unread while a counter was read.
fn bounds(
    index: &Index<'_>,
    record: &Record,
    talk: &str,
    user: &str,
    marks: &[(&Record, &Marking)],
) -> (u64, u64) {
    let t_done = record.t_done.unwrap_or(u64::MAX);
    let mine = marks.iter().filter(|(_, mark)| mark.user == user);
    let (mut surely_read, mut maybe_read) = (HashSet::new(), HashSet::new());
    for (mark, args) in mine {
        if mark.t_invoke <= t_done {
            maybe_read.extend(&args.ids);
        }
        if mark.t_done.is_some_and(|done| done <= record.t_invoke) {
            surely_read.extend(&args.ids);
        }
    }
    let (mut least, mut most) = (0, 0);
    for row in index
        .rows_of(talk)
        .iter()
        .filter(|row| row.message.sender_id != user)
    {
        let key = row.message.client_message_id.as_deref();
        let send = key.and_then(|key| index.by_key.get(key));
        let was_there = send.is_some_and(|send| {
            send.record
                .t_done
                .is_some_and(|done| done < record.t_invoke)
        });
        // Nobody knows when a message about a call was stored.
        let may_be_there = send.is_none_or(|send| send.record.t_invoke <= t_done);
        least += u64::from(was_there && !maybe_read.contains(&row.message.id));
        most += u64::from(may_be_there && !surely_read.contains(&row.message.id));
    }
    (least, most)
}
