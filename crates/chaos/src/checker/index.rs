//! A history, with what several invariants look up in it.

use std::collections::{BTreeMap, HashMap};

use crate::history::{CallRow, Damage, Event, Message, Outcome, Record, Sending, Talk};

/// How long the system may take to be itself again, in microseconds.
const SETTLING: u64 = 5_000_000;

/// A message that somebody sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Send<'a> {
    pub(super) record: &'a Record,
    pub(super) key: &'a str,
    pub(super) args: &'a Sending,
    pub(super) result: Option<&'a Outcome>,
}

/// A fault, from injection to healing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault<'a> {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) damage: &'a Damage,
}

/// A message as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) record: &'a Record,
    pub(super) message: &'a Message,
}

#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) records: &'a [Record],
    /// Microseconds since 1970 at the beginning.
    pub(super) began: i64,
    pub(super) talks: BTreeMap<&'a str, &'a Talk>,
    /// The messages of each conversation as they are stored, in order.
    pub(super) rows: BTreeMap<&'a str, Vec<Row<'a>>>,
    pub(super) sends: Vec<Send<'a>>,
    /// Sends by key.
    pub(super) by_key: HashMap<&'a str, Send<'a>>,
    pub(super) faults: Vec<Fault<'a>>,
    pub(super) calls: BTreeMap<&'a str, (&'a Record, &'a CallRow)>,
    /// The records of each device, in order.
    pub(super) devices: BTreeMap<&'a str, Vec<&'a Record>>,
}

impl<'a> Index<'a> {
    pub(super) fn of(records: &'a [Record]) -> Self {
        let mut index = Self {
            records,
            began: 0,
            talks: BTreeMap::new(),
            rows: BTreeMap::new(),
            sends: Vec::new(),
            by_key: HashMap::new(),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            devices: BTreeMap::new(),
        };
        for record in records {
            index.add(record);
        }
        index
    }

    fn add(&mut self, record: &'a Record) {
        match &record.event {
            Event::Began { args, .. } => self.began = args.unix_us,
            Event::Conversation { key, args } => {
                // Each of its people notes it, with their own devices.
                self.talks.entry(key).or_insert(args);
            }
            Event::Row { key, result } => {
                let row = Row {
                    record,
                    message: result,
                };
                self.rows.entry(key).or_default().push(row);
            }
            Event::Send { key, args, result } => {
                let result = result.as_ref();
                let send = Send {
                    record,
                    key,
                    args,
                    result,
                };
                self.sends.push(send);
                self.by_key.insert(key, send);
            }
            Event::Fault { args, .. } => self.faults.push(Fault {
                from: record.t_invoke,
                to: record.t_done.unwrap_or(u64::MAX),
                damage: args,
            }),
            Event::Call { key, result } => {
                self.calls.insert(key, (record, result));
            }
            _ => {}
        }
        if record.proc.contains(".d") {
            self.devices.entry(&record.proc).or_default().push(record);
        }
    }

    /// Returns the message at a place.
    pub(super) fn row(&self, talk: &str, seq: u64) -> Option<&Row<'a>> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        let row = self.rows.get(talk)?.get(index)?;
        (row.message.seq == seq).then_some(row)
    }

    /// Returns the messages of a conversation, in order.
    pub(super) fn rows_of(&self, talk: &str) -> &[Row<'a>] {
        self.rows.get(talk).map_or(&[], Vec::as_slice)
    }

    /// Returns a time of the run as microseconds since its beginning.
    pub(super) fn since_began(&self, unix_us: i64) -> u64 {
        u64::try_from(unix_us - self.began).unwrap_or(0)
    }

    /// Tells whether a fault that `matters` was there between two times, or had just been healed.
    pub(super) fn was_troubled(
        &self,
        from: u64,
        until: u64,
        matters: impl Fn(&Fault<'_>) -> bool,
    ) -> bool {
        let is_there = |fault: &&Fault<'_>| {
            from < fault.to.saturating_add(SETTLING) && fault.from < until && matters(fault)
        };
        self.faults.iter().any(|fault| is_there(&fault))
    }

    /// Returns until when faults that `matters` went on without a pause, from `t` on.
    pub(super) fn troubled_until(&self, t: u64, matters: impl Fn(&Fault<'_>) -> bool) -> u64 {
        let mut until = t;
        let mut faults: Vec<_> = self.faults.iter().filter(|fault| matters(fault)).collect();
        faults.sort_by_key(|fault| fault.from);
        for fault in faults {
            if fault.from <= until && until < fault.to.saturating_add(SETTLING) {
                until = fault.to.saturating_add(SETTLING);
            }
        }
        until
    }
}
