//! A small clean history: two people with a device each say four things, read, and call each other.

use crate::history::{
    Asking, Being, CallRow, Damage, Event, Expected, Hearing, Marking, Message, Moment, Outcome,
    Record, Sending, Socket, Talk, Telling, Whose, Window,
};

/// A second.
pub(super) const S: u64 = 1_000_000;
/// The conversation, its people, and their devices.
pub(super) const TALK: &str = "talk";
pub(super) const ANN: &str = "ann";
pub(super) const BOB: &str = "bob";
pub(super) const ANNS: &str = "p0.d0";
pub(super) const BOBS: &str = "p1.d0";
pub(super) const CALL: &str = "call-1";

/// Records that can be looked up and changed.
pub(super) struct Story {
    pub(super) records: Vec<Record>,
}

impl Story {
    pub(super) fn clean() -> Self {
        let mut story = Self {
            records: Vec::new(),
        };
        let began = Moment { unix_us: 0 };
        story.note(
            0,
            "suite",
            Event::Began {
                key: "1".to_owned(),
                args: began,
            },
        );
        story.note(
            0,
            "suite",
            Event::Conversation {
                key: TALK.to_owned(),
                args: Talk {
                    users: vec![ANN.to_owned(), BOB.to_owned()],
                    canary: "canary".to_owned(),
                    devices: vec![ANNS.to_owned(), BOBS.to_owned()],
                },
            },
        );
        for device in [ANNS, BOBS] {
            story.add(
                S,
                Some(S + 10),
                device,
                Event::Connected { args: socket(1, 1) },
            );
        }
        for (seq, at) in [(1, 2), (2, 3), (3, 4), (4, 5)] {
            let (sender, device) = if seq == 2 { (BOB, BOBS) } else { (ANN, ANNS) };
            story.send(seq, at * S, sender, device);
        }
        story.read();
        story.call();
        story.end();
        story
    }

    pub(super) fn add(&mut self, t_invoke: u64, t_done: Option<u64>, proc: &str, event: Event) {
        self.records.push(Record {
            t_invoke,
            t_done,
            proc: proc.to_owned(),
            event,
        });
    }

    pub(super) fn note(&mut self, t: u64, proc: &str, event: Event) {
        self.add(t, None, proc, event);
    }

    fn send(&mut self, seq: u64, t: u64, sender: &str, device: &str) {
        let stored = message(seq);
        for (who, ear) in [(ANN, ANNS), (BOB, BOBS)] {
            self.note(t + 50, ear, heard(who, 1, &stored));
        }
        let args = Sending {
            conversation: TALK.to_owned(),
            sender: sender.to_owned(),
            content: stored.content.clone(),
            session: Some(1),
            attempts: 1,
            order: seq,
        };
        let key = key(seq);
        let result = Some(Outcome::Stored(stored));
        self.add(t, Some(t + 100), device, Event::Send { key, args, result });
    }

    fn read(&mut self) {
        let args = Marking {
            user: BOB.to_owned(),
            ids: vec![id(1), id(3)],
        };
        let marked = Some(vec![id(1), id(3)]);
        let event = Event::Read {
            key: TALK.to_owned(),
            args,
            result: marked,
        };
        self.add(6 * S, Some(6 * S + 10), BOBS, event);
        let page = (1..=4).map(|seq| Message {
            is_read: seq == 1 || seq == 3,
            ..message(seq)
        });
        self.add(
            7 * S,
            Some(7 * S + 10),
            "p1.rest",
            Event::Page {
                key: TALK.to_owned(),
                args: Window {
                    user: BOB.to_owned(),
                    after: Some(0),
                    limit: 50,
                    ascending: true,
                    ..Window::default()
                },
                result: page.collect(),
            },
        );
        self.add(
            7 * S,
            Some(7 * S + 10),
            "p1.rest",
            Event::Unread {
                key: TALK.to_owned(),
                args: Whose {
                    user: BOB.to_owned(),
                },
                result: 1,
            },
        );
    }

    fn call(&mut self) {
        self.add(
            8 * S,
            Some(8 * S + 20),
            ANNS,
            asked(ANN, BOB, "initiate", "call:ringing"),
        );
        self.told(8 * S + 20, ANNS, ANN, "call:ringing");
        self.told(8 * S + 20, BOBS, BOB, "call:incoming");
        self.add(
            9 * S,
            Some(9 * S + 20),
            BOBS,
            asked(BOB, ANN, "accept", "call:connected"),
        );
        self.told(9 * S + 30, BOBS, BOB, "call:connected");
        self.told(9 * S + 30, ANNS, ANN, "call:accepted");
        for place in [1, 2] {
            self.note(9 * S + 40 + place, BOBS, signal(BOB, place));
        }
        self.add(
            10 * S,
            Some(10 * S + 20),
            ANNS,
            asked(ANN, BOB, "end", "call:end"),
        );
        self.told(10 * S + 30, BOBS, BOB, "call:ended");
        let call = call_row("ended", 8, Some(9), 10);
        self.note(
            30 * S,
            "suite",
            Event::Call {
                key: CALL.to_owned(),
                result: call,
            },
        );
        for user in [ANN, BOB] {
            let args = Whose {
                user: user.to_owned(),
            };
            let result = Some("ended".to_owned());
            self.note(
                30 * S,
                "suite",
                Event::CallSeen {
                    key: CALL.to_owned(),
                    args,
                    result,
                },
            );
        }
    }

    fn end(&mut self) {
        let system = Message {
            message_type: "system".to_owned(),
            content: "Audio call, 1 s".to_owned(),
            client_message_id: None,
            is_read: false,
            ..message(5)
        };
        for (who, ear) in [(ANN, ANNS), (BOB, BOBS)] {
            self.note(11 * S, ear, heard(who, 1, &system));
        }
        let rows = (1..=4).map(|seq| Message {
            is_read: seq == 1 || seq == 3,
            ..message(seq)
        });
        for result in rows.chain([system]) {
            self.note(
                30 * S,
                "suite",
                Event::Row {
                    key: TALK.to_owned(),
                    result,
                },
            );
        }
        for (user, unread) in [(ANN, 1), (BOB, 2)] {
            let args = Whose {
                user: user.to_owned(),
            };
            self.note(
                30 * S,
                "suite",
                Event::UnreadRow {
                    key: TALK.to_owned(),
                    args,
                    result: unread,
                },
            );
        }
        for device in [ANNS, BOBS] {
            self.note(31 * S, device, Event::Listening { args: socket(1, 1) });
        }
        let args = Expected {
            at_least: 0,
            at_most: 0,
        };
        self.note(
            31 * S,
            "suite",
            Event::Count {
                key: "rows in the outbox".to_owned(),
                args,
                result: 0,
            },
        );
        let drained = Event::Drained {
            key: "g1".to_owned(),
            result: "ok".to_owned(),
        };
        self.add(20 * S, Some(21 * S), "suite", drained);
        self.note(31 * S, "suite", presence(ANN, BOB, true, Some(true)));
    }

    fn told(&mut self, t: u64, device: &str, user: &str, event: &str) {
        self.note(t, device, told(user, event));
    }

    /// Changes the first event that `pick` finds something in.
    #[track_caller]
    pub(super) fn change<T: ?Sized>(
        &mut self,
        pick: impl Fn(&mut Record) -> Option<&mut T>,
        change: impl FnOnce(&mut T),
    ) {
        change(
            self.records
                .iter_mut()
                .find_map(pick)
                .expect("there is none"),
        );
    }

    /// Takes out the first record that `is_it` finds.
    #[track_caller]
    pub(super) fn take(&mut self, is_it: impl Fn(&Record) -> bool) -> Record {
        let at = self.records.iter().position(is_it).expect("there is none");
        self.records.remove(at)
    }

    /// The stored message at a place.
    #[track_caller]
    pub(super) fn row(&mut self, seq: u64, change: impl FnOnce(&mut Message)) {
        self.change(
            |record| match &mut record.event {
                Event::Row { result, .. } if result.seq == seq => Some(result),
                _ => None,
            },
            change,
        );
    }

    /// The row of the call.
    #[track_caller]
    pub(super) fn call_row(&mut self, change: impl FnOnce(&mut CallRow)) {
        self.change(
            |record| match &mut record.event {
                Event::Call { result, .. } => Some(result),
                _ => None,
            },
            change,
        );
    }

    /// The confirmation of a message.
    #[track_caller]
    pub(super) fn sent(&mut self, seq: u64, change: impl FnOnce(&mut Record)) {
        self.change(|record| is_send(record, seq).then_some(record), change);
    }

    /// A fault that excuses delays of what it hits.
    pub(super) fn fault(&mut self, from: u64, to: u64, target: &str) {
        let args = Damage {
            what: "something".to_owned(),
            targets: vec![target.to_owned()],
        };
        self.add(
            from,
            Some(to),
            "suite",
            Event::Fault {
                key: "F0".to_owned(),
                args,
            },
        );
    }
}

pub(super) fn is_send(record: &Record, seq: u64) -> bool {
    matches!(&record.event, Event::Send { key: its, .. } if *its == key(seq))
}

pub(super) fn is_heard(record: &Record, device: &str, seq: u64) -> bool {
    record.proc == device
        && matches!(&record.event, Event::Heard { args } if args.message.seq == seq)
}

pub(super) fn id(seq: u64) -> String {
    format!("m{seq}")
}

pub(super) fn key(seq: u64) -> String {
    format!("k{seq}")
}

pub(super) fn message(seq: u64) -> Message {
    Message {
        id: id(seq),
        conversation_id: TALK.to_owned(),
        seq,
        sender_id: if seq == 2 { BOB } else { ANN }.to_owned(),
        message_type: "text".to_owned(),
        content: format!("canary {seq}"),
        client_message_id: Some(key(seq)),
        created_at: format!(
            "1970-01-01T00:00:{:02}.000Z",
            if seq == 5 { 10 } else { seq + 1 }
        ),
        is_read: false,
    }
}

pub(super) fn socket(session: u64, stream: u64) -> Socket {
    Socket {
        session,
        stream,
        ..Socket::default()
    }
}

pub(super) fn heard(user: &str, stream: u64, message: &Message) -> Event {
    Event::Heard {
        args: Hearing {
            user: user.to_owned(),
            session: stream,
            stream,
            slice: 0,
            message: message.clone(),
        },
    }
}

pub(super) fn told(user: &str, event: &str) -> Event {
    Event::Told {
        key: CALL.to_owned(),
        args: Telling {
            user: user.to_owned(),
            session: 1,
            event: event.to_owned(),
            ..Telling::default()
        },
    }
}

pub(super) fn signal(user: &str, place: u64) -> Event {
    Event::Told {
        key: CALL.to_owned(),
        args: Telling {
            user: user.to_owned(),
            session: 1,
            event: "webrtc:ice-candidate".to_owned(),
            place: Some(place),
            ..Telling::default()
        },
    }
}

pub(super) fn asked(user: &str, peer: &str, action: &str, result: &str) -> Event {
    Event::Asked {
        key: Some(CALL.to_owned()),
        args: Asking {
            user: user.to_owned(),
            session: 1,
            action: action.to_owned(),
            peer: peer.to_owned(),
        },
        result: Some(result.to_owned()),
    }
}

/// A call from Ann to Bob that rings for three seconds; times in seconds.
pub(super) fn call_row(outcome: &str, started: i64, answered: Option<i64>, ended: i64) -> CallRow {
    let us = |seconds: i64| seconds * 1_000_000;
    CallRow {
        conversation: TALK.to_owned(),
        caller: ANN.to_owned(),
        callee: BOB.to_owned(),
        outcome: Some(outcome.to_owned()),
        started_at: us(started),
        rings_until: us(started + 3),
        answered_at: answered.map(us),
        ended_at: Some(us(ended)),
        messages: 1,
        abandoned: false,
    }
}

pub(super) fn presence(person: &str, user: &str, online: bool, at_end: Option<bool>) -> Event {
    Event::Presence {
        key: person.to_owned(),
        args: Being {
            user: user.to_owned(),
            online,
            is_final: at_end.is_some(),
            is_contact: true,
            connected: at_end,
        },
    }
}
