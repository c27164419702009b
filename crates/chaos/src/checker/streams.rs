//! I4 and I5: what each device heard, socket by socket.
//!
//! A stream is what one device hears from a connection that was not recovered to the next such one.
//! It is a slice of the conversation: each message once, in order, none left out, from where it
//! began to where it ended; at the end of the run, to the last message. Where the client knows that
//! it missed something, since it had left the room or was told to `resync`, a new slice begins.

use std::collections::BTreeSet;

use super::{
    Violation,
    index::{Index, Row},
};
use crate::history::{Event, Message, Record};

/// What messages about calls may be told late without having been there: nobody knows when they
/// were committed, only when they were made.
const MARGIN: u64 = 1_000_000;
/// How soon a client is told what it missed at the beginning, in microseconds.
const SOON: u64 = 30_000_000;

/// Where a device is in one conversation.
struct Place<'a> {
    index: &'a Index<'a>,
    talk: &'a str,
    /// Since when it surely listens; `None` while that is not known.
    since: Option<u64>,
    /// Whether it surely does not listen.
    is_out: bool,
    slice: (u64, u64),
    last: Option<(u64, &'a Record)>,
    /// The connection that said nothing was lost, if the stream had one.
    recovered: Option<&'a Record>,
    known: BTreeSet<u64>,
    /// A beginning that was left out, and when that was seen.
    unexplained: Option<(u64, Violation)>,
    found: Vec<Violation>,
}

/// I4 and I5.
pub(super) fn whole_and_in_order(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for record in index.records {
        if let Event::Conversation { key, args } = &record.event {
            for device in &args.devices {
                let records = index.devices.get(device.as_str());
                let records = records.map_or(&[][..], Vec::as_slice);
                found.extend(follow(index, key, device, records));
            }
        }
    }
    found
}

/// Follows one device through one conversation.
fn follow<'a>(
    index: &'a Index<'a>,
    talk: &'a str,
    device: &str,
    records: &[&'a Record],
) -> Vec<Violation> {
    let mut place = Place {
        index,
        talk,
        since: None,
        is_out: false,
        slice: (0, 0),
        last: None,
        recovered: None,
        known: BTreeSet::new(),
        unexplained: None,
        found: Vec::new(),
    };
    // An answer may be behind what it allows.
    let joins: Vec<_> = records
        .iter()
        .filter(|record| matches!(&record.event, Event::Joined { key, .. } if key == talk))
        .map(|record| (record.t_invoke, record.t_done.unwrap_or(u64::MAX)))
        .collect();
    let mut listens = false;
    for record in records {
        place.take(record, &joins);
        listens |= matches!(record.event, Event::Listening { .. });
    }
    let rows = index.rows_of(talk);
    if !listens {
        let what = format!("{device} is not back at the end");
        place
            .found
            .push(Violation::new("I4", what, records.last().copied()));
    }
    let missing = rows
        .iter()
        .find(|row| !place.known.contains(&row.message.seq));
    if let Some(row) = missing {
        let what = format!("{device} never got message {} of {talk}", row.message.seq);
        place.found.push(Violation::new("I4", what, [row.record]));
    }
    place.found
}

impl<'a> Place<'a> {
    fn take(&mut self, record: &'a Record, joins: &[(u64, u64)]) {
        match &record.event {
            // The client knows that it missed something, and fetches all there was: from here on
            // it listens.
            Event::Resync { key, .. } if key == self.talk => {
                self.unexplained = None;
                self.since = self.since.map(|_| record.t_invoke);
            }
            Event::Connected { args } if args.recovered => self.recovered = Some(record),
            Event::Connected { .. } => {
                self.explain(record.t_invoke);
                self.recovered = None;
                self.begin(record.t_done);
            }
            Event::Left { key, .. } if key == self.talk => {
                self.is_out = record.t_done.is_some();
                self.since = None;
            }
            Event::Joined { key, .. } if key == self.talk => {
                self.is_out = false;
                if self.since.is_none() {
                    self.begin(record.t_done);
                }
            }
            Event::Synced { key, args, result } if key == self.talk => {
                self.synced(record, args.after.unwrap_or(0), result);
            }
            Event::Heard { args } if args.message.conversation_id == self.talk => {
                let t = record.t_invoke;
                let joining = joins.iter().any(|(from, to)| *from <= t && t <= *to);
                if self.is_out && !joining {
                    self.violated("a message of a room that was left", [record]);
                }
                self.heard(record, (args.stream, args.slice), &args.message);
            }
            Event::Listening { .. } => self.end(record),
            _ => {}
        }
    }

    fn begin(&mut self, since: Option<u64>) {
        self.since = since;
        self.is_out = false;
        self.last = None;
    }

    const fn name(&self) -> &'static str {
        if self.recovered.is_some() { "I5" } else { "I4" }
    }

    /// A client that came while nobody knew where its conversations stand is let in, and told to
    /// fetch what it missed soon; unless it is gone before, and fetches that by itself.
    fn explain(&mut self, t: u64) {
        if let Some((seen, violation)) = self.unexplained.take()
            && SOON < t.saturating_sub(seen)
        {
            self.found.push(violation);
        }
    }

    fn violated(&mut self, what: &str, evidence: impl IntoIterator<Item = &'a Record>) {
        let evidence = evidence.into_iter().chain(self.recovered);
        self.found.push(Violation::new(self.name(), what, evidence));
    }

    fn synced(&mut self, record: &'a Record, after: u64, messages: &'a [Message]) {
        for (i, message) in messages.iter().enumerate() {
            self.known.insert(message.seq);
            if message.seq != after + i as u64 + 1 {
                self.violated("a sync with a hole", [record]);
                return;
            }
            self.compare(record, message);
        }
    }

    fn heard(&mut self, record: &'a Record, slice: (u64, u64), message: &'a Message) {
        let seq = message.seq;
        self.known.insert(seq);
        self.compare(record, message);
        if slice != self.slice {
            self.slice = slice;
            // Told to `resync`: the client fetches what it missed, and knows that.
            if self.last.take().is_some() {
                self.since = Some(record.t_invoke);
            }
        }
        match self.last {
            Some((last, before)) if seq == last => {
                self.violated("a message was heard twice", [before, record]);
            }
            Some((last, before)) if seq < last => {
                self.violated("messages were heard in the wrong order", [before, record]);
            }
            Some((last, before)) if last + 1 < seq => {
                let what = format!("messages {} to {} were left out", last + 1, seq - 1);
                self.violated(&what, [before, record]);
            }
            Some(_) => {}
            None => self.first(record, seq),
        }
        self.last = Some((seq, record));
    }

    /// Nothing that was sent after the stream had begun may come before its first message.
    fn first(&mut self, record: &'a Record, seq: u64) {
        let rows = self.index.rows_of(self.talk).iter();
        let missed = rows
            .take_while(|row| row.message.seq < seq)
            .find(|row| self.is_later(row));
        if let Some(row) = missed {
            let evidence = [row.record, record].into_iter().chain(self.recovered);
            let violation = Violation::new(self.name(), "the beginning was left out", evidence);
            self.unexplained.get_or_insert((record.t_invoke, violation));
        }
    }

    /// At the end everything was heard.
    fn end(&mut self, record: &'a Record) {
        self.explain(u64::MAX);
        if self.is_out || self.since.is_none() {
            return;
        }
        let rows = self.index.rows_of(self.talk).iter();
        let after = self.last.map_or(0, |(seq, _)| seq);
        let mut missed = rows.filter(|row| after < row.message.seq);
        let missed = match self.last {
            Some(_) => missed.next(),
            None => missed.find(|row| self.is_later(row)),
        };
        if let Some(row) = missed {
            self.violated("the end was left out", [row.record, record]);
        }
    }

    /// Says whether a message was surely sent after the stream began.
    fn is_later(&self, row: &Row<'_>) -> bool {
        let Some(since) = self.since else {
            return false;
        };
        let key = row.message.client_message_id.as_deref();
        match key.and_then(|key| self.index.by_key.get(key)) {
            Some(send) => since < send.record.t_invoke,
            None => created(row.message)
                .is_some_and(|unix_us| since + MARGIN < self.index.since_began(unix_us)),
        }
    }

    fn compare(&mut self, record: &'a Record, message: &Message) {
        match self.index.row(self.talk, message.seq) {
            Some(row) if row.message.is_same(message) => {}
            Some(row) => self.violated("a message other than the stored one", [row.record, record]),
            None => self.violated("a message that is not stored", [record]),
        }
    }
}

/// Reads when a message was made, in microseconds since 1970.
fn created(message: &Message) -> Option<i64> {
    let format = &time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(&message.created_at, format).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000).ok()
}
