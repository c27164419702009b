//! I1, I2, I3, I6, I7: what is stored, against what was sent and confirmed.

use std::collections::{BTreeMap, HashMap};

use super::{
    Violation,
    index::{Index, Send},
};
use crate::history::Outcome;

/// I1: places from 1 without a hole, times that grow with them, ids that differ.
pub(super) fn no_holes(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut ids = HashMap::new();
    for (talk, rows) in &index.rows {
        let mut before = "";
        for (i, row) in rows.iter().enumerate() {
            let message = row.message;
            if message.seq != i as u64 + 1 {
                let what = format!("{talk} has {} where {} belongs", message.seq, i + 1);
                found.push(Violation::new("I1", what, [row.record]));
                break;
            }
            if message.created_at.as_str() <= before {
                let what = format!("created_at does not grow at {} of {talk}", message.seq);
                found.push(Violation::new("I1", what, [row.record]));
            }
            before = &message.created_at;
            if let Some(other) = ids.insert(&message.id, row.record) {
                found.push(Violation::new(
                    "I1",
                    "two messages have one id",
                    [other, row.record],
                ));
            }
        }
    }
    found
}

/// I2: what was confirmed is stored once, as it was confirmed; and everything was confirmed in the end.
pub(super) fn confirmed_is_stored(index: &Index<'_>) -> Vec<Violation> {
    let mut stored: HashMap<(&str, &str), Vec<_>> = HashMap::new();
    for (talk, rows) in &index.rows {
        for row in rows {
            if let Some(key) = &row.message.client_message_id {
                stored.entry((talk, key)).or_default().push(row);
            }
        }
    }
    let mut found = Vec::new();
    for send in &index.sends {
        let rows = stored.get(&(send.args.conversation.as_str(), send.key));
        let rows = rows.map_or(&[][..], Vec::as_slice);
        let all = || std::iter::once(send.record).chain(rows.iter().map(|row| row.record));
        match (send.result, rows) {
            (Some(Outcome::Stored(message)), [row]) => {
                if !message.is_same(row.message) || message.content != send.args.content {
                    let what = "a message is stored otherwise than it was confirmed";
                    found.push(Violation::new("I2", what, all()));
                }
            }
            (Some(Outcome::Stored(_)), []) => {
                found.push(Violation::new("I2", "a confirmed message is lost", all()));
            }
            (Some(Outcome::Refused(code)), _) => {
                let what = format!("a message was refused: {code}");
                found.push(Violation::new("I2", what, all()));
            }
            (None, [] | [_]) => {
                let what = "a message that was repeated to the end was never confirmed";
                found.push(Violation::new("I2", what, all()));
            }
            (_, [_, _, ..]) => {
                found.push(Violation::new("I2", "a message is stored twice", all()));
            }
        }
    }
    found
}

/// I3: what is stored was sent, by somebody who may; or tells how a call ended.
pub(super) fn stored_was_sent(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (talk, rows) in &index.rows {
        let users = index.talks.get(talk).map_or(&[][..], |talk| &talk.users);
        let mut of_calls = 0;
        for row in rows {
            let message = row.message;
            if message.message_type == "system" {
                of_calls += 1;
                continue;
            }
            let key = message.client_message_id.as_deref().unwrap_or_default();
            let send = index.by_key.get(key);
            let is_sent = send.is_some_and(|Send { args, .. }| {
                args.conversation == **talk
                    && args.sender == message.sender_id
                    && args.content == message.content
            });
            if !is_sent || !users.contains(&message.sender_id) {
                let what = "a stored message was never sent like that";
                let all = std::iter::once(row.record).chain(send.map(|send| send.record));
                found.push(Violation::new("I3", what, all));
            }
        }
        let calls = index
            .calls
            .values()
            .filter(|(_, call)| call.conversation == **talk);
        let wanted: u64 = calls.map(|(_, call)| call.messages).sum();
        if of_calls != wanted {
            let what =
                format!("{talk} has {of_calls} messages about calls, and {wanted} have keys");
            found.push(Violation::new("I3", what, []));
        }
    }
    found
}

/// I6: what was confirmed before something else was sent comes before it.
pub(super) fn real_time(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for rows in index.rows.values() {
        let sends = rows.iter().rev().filter_map(|row| {
            let key = row.message.client_message_id.as_deref()?;
            index.by_key.get(key)
        });
        let mut earliest: Option<(u64, &Send<'_>)> = None;
        for send in sends {
            if let Some((confirmed, later)) = earliest
                && confirmed < send.record.t_invoke
            {
                let what = "a message is stored before one that was confirmed before it was sent";
                found.push(Violation::new("I6", what, [send.record, later.record]));
            }
            if let Some(confirmed) = send.record.t_done
                && earliest.is_none_or(|(least, _)| confirmed < least)
            {
                earliest = Some((confirmed, send));
            }
        }
    }
    found
}

/// I7: what one socket sent at the first attempt is stored in the order in which it was sent.
pub(super) fn first_in_first_out(index: &Index<'_>) -> Vec<Violation> {
    let mut sockets: BTreeMap<_, Vec<(u64, u64, &Send<'_>)>> = BTreeMap::new();
    for send in index.sends.iter().filter(|send| send.args.attempts == 1) {
        if let (Some(session), Some(Outcome::Stored(message))) = (send.args.session, send.result) {
            let socket = (&send.record.proc, session, &send.args.conversation);
            sockets
                .entry(socket)
                .or_default()
                .push((send.args.order, message.seq, send));
        }
    }
    let mut found = Vec::new();
    for mut sends in sockets.into_values() {
        sends.sort_by_key(|(order, _, _)| *order);
        for pair in sends.windows(2) {
            if let [(_, first, a), (_, second, b)] = pair
                && second <= first
            {
                let what = "two messages of one socket changed places";
                found.push(Violation::new("I7", what, [a.record, b.record]));
            }
        }
    }
    found
}
