//! Notes on their way out: which messages the transport took, and what goes to which subject.
//!
//! Sans-IO: notes and the time in, payloads out.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use chat_domain::{Seq, Timestamp};
use chat_proto::{WireId as _, subject, v1};
use prost::Message as _;

use super::{Entry, NO_MESSAGE, Occasion, Standing, Way, What, Who};
use crate::{
    registry::UserKey,
    transport::{Progress, Reason},
};

/// How old a queued message is before it is said that the transport has not taken it, in milliseconds.
const PATIENCE_MS: i64 = 1_000;
/// How many queued messages are watched until the transport takes them.
const MAX_WATCHED: usize = 16_384;
/// How many notes go at a time: with the longest ids, less than NATS takes.
const MAX_TOGETHER: usize = 2_048;

/// Notes that have not left.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    replica: u64,
    /// Messages that the transport had not taken.
    watched: Vec<Entry>,
    notes: HashMap<UserKey, Vec<v1::Note>>,
    /// How often notes left, by subject.
    numbers: HashMap<String, u64>,
    /// What is added to all of these.
    n_left_out: u64,
}

impl Ledger {
    pub(super) fn new(replica: u64) -> Self {
        Self {
            replica,
            ..Self::default()
        }
    }

    /// Takes notes, and looks again after those before; returns how many there was no room for.
    pub(super) fn take(&mut self, fresh: Vec<Entry>, now: Timestamp, occasion: Occasion) -> u64 {
        let mut n_dropped = 0;
        for mut entry in std::mem::take(&mut self.watched).into_iter().chain(fresh) {
            let (What::Queued(_), Who::Socket(socket)) = (entry.what, &entry.who) else {
                self.add(&entry, entry.at, kind(entry.what));
                continue;
            };
            let progress = socket.progress();
            let is_young = now.0 < entry.at.0 + PATIENCE_MS;
            let is_over = match progress {
                Progress::Taken => true,
                Progress::Cut => !is_young,
                Progress::Waiting => false,
            };
            if is_over || occasion == Occasion::End {
                self.settle(&entry, now, progress);
                continue;
            }
            let is_said = !is_young || occasion == Occasion::Asked;
            if is_said && progress == Progress::Waiting && !entry.is_told {
                entry.is_told = true;
                self.add(&entry, now, v1::NoteKind::Waiting);
            }
            if self.watched.len() < MAX_WATCHED {
                self.watched.push(entry);
            } else {
                n_dropped += 1;
            }
        }
        n_dropped
    }

    /// Notes whether a message was written.
    fn settle(&mut self, entry: &Entry, now: Timestamp, progress: Progress) {
        let at = if entry.is_told { now } else { entry.at };
        let kind = match progress {
            Progress::Taken => v1::NoteKind::Written,
            Progress::Waiting | Progress::Cut => v1::NoteKind::Lost,
        };
        self.add(entry, at, kind);
    }

    /// Has readers see that something is missing.
    pub(super) fn leave_out(&mut self) {
        self.n_left_out += 1;
    }

    /// Returns what is to be published, and where.
    pub(super) fn seal(&mut self) -> Vec<(String, Bytes)> {
        let mut parts: BTreeMap<String, Vec<v1::NotesOfUser>> = BTreeMap::new();
        for (user, notes) in std::mem::take(&mut self.notes) {
            let part = parts
                .entry(subject::journal(&user.app, &user.user))
                .or_default();
            part.extend(notes.chunks(MAX_TOGETHER).map(|notes| v1::NotesOfUser {
                app: user.app.as_str().to_owned(),
                user_id: user.user.as_str().to_owned(),
                notes: notes.to_vec(),
            }));
        }
        let mut sealed = Vec::with_capacity(parts.len());
        for (subject, users) in parts {
            let (mut together, mut n_notes) = (Vec::new(), 0);
            for user in users {
                if MAX_TOGETHER < n_notes + user.notes.len() {
                    sealed.push(self.number(&subject, std::mem::take(&mut together)));
                    n_notes = 0;
                }
                n_notes += user.notes.len();
                together.push(user);
            }
            sealed.push(self.number(&subject, together));
        }
        sealed
    }

    fn number(&mut self, subject: &str, users: Vec<v1::NotesOfUser>) -> (String, Bytes) {
        let number = match self.numbers.get_mut(subject) {
            Some(number) => {
                *number += 1;
                *number
            }
            None => *self.numbers.entry(subject.to_owned()).or_insert(1),
        };
        let notes = v1::Notes {
            replica: self.replica,
            number: number + self.n_left_out,
            users,
        };
        (subject.to_owned(), notes.encode_to_vec().into())
    }

    fn add(&mut self, entry: &Entry, at: Timestamp, kind: v1::NoteKind) {
        let (conversation, Seq(seq)) = entry.message;
        let mut note = v1::Note {
            kind: kind.into(),
            at_ms: at.0,
            seq,
            ..v1::Note::default()
        };
        if entry.message != NO_MESSAGE {
            note.conversation_id = conversation.to_wire();
        }
        match entry.what {
            What::Queued(way) => note.way = wire_way(way).into(),
            What::Came { is_back } => note.is_back = is_back,
            What::Went(reason) => label(reason).clone_into(&mut note.reason),
            What::Revoked => "revoked".clone_into(&mut note.reason),
            What::Stands(standing) => note.place = wire_place(standing).into(),
            What::NoRoom
            | What::Behind
            | What::NotHeard
            | What::Closed
            | What::Skipped
            | What::Held
            | What::Nobody => {}
        }
        let user = match &entry.who {
            Who::User(user) => (**user).clone(),
            Who::Socket(socket) => {
                note.socket = socket.number();
                let is_of_socket = matches!(
                    entry.what,
                    What::Came { .. } | What::Went(_) | What::Revoked | What::Stands(_)
                );
                if is_of_socket {
                    socket.id().clone_into(&mut note.socket_id);
                    note.began_ms = socket.session().began().0;
                }
                socket.session().key()
            }
        };
        self.notes.entry(user).or_default().push(note);
    }
}

const fn kind(what: What) -> v1::NoteKind {
    match what {
        What::Queued(_) => v1::NoteKind::Waiting,
        What::NoRoom => v1::NoteKind::NoRoom,
        What::Behind => v1::NoteKind::Behind,
        What::NotHeard => v1::NoteKind::NotHeard,
        What::Closed => v1::NoteKind::Closed,
        What::Skipped => v1::NoteKind::Skipped,
        What::Held => v1::NoteKind::Held,
        What::Nobody => v1::NoteKind::Nobody,
        What::Came { .. } => v1::NoteKind::Came,
        What::Went(_) | What::Revoked => v1::NoteKind::Went,
        What::Stands(_) => v1::NoteKind::Stands,
    }
}

const fn wire_way(way: Way) -> v1::NoteWay {
    match way {
        Way::Event => v1::NoteWay::Event,
        Way::Repair => v1::NoteWay::Repair,
        Way::Refill => v1::NoteWay::Refill,
    }
}

const fn wire_place(standing: Standing) -> v1::NotePlace {
    match standing {
        Standing::Known => v1::NotePlace::Known,
        Standing::Unknown => v1::NotePlace::Unknown,
        Standing::Behind => v1::NotePlace::Behind,
        Standing::Outside => v1::NotePlace::Outside,
    }
}

/// Why a socket is gone, as it is told.
const fn label(reason: Reason) -> &'static str {
    match reason {
        Reason::ClientDisconnect => "client_disconnect",
        Reason::ServerDisconnect => "server_disconnect",
        Reason::TransportClosed => "transport_closed",
        Reason::PingTimeout => "ping_timeout",
        Reason::ProtocolError => "protocol_error",
        Reason::SlowConsumer => "slow_consumer",
        Reason::Flood => "flood",
        Reason::Kicked => "kicked",
        Reason::Superseded => "superseded",
        Reason::Draining => "draining",
        Reason::InternalError => "internal_error",
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::{AppId, ConversationId, UserId};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp(1);

    fn entry(user: &str, seq: u64) -> Entry {
        let key = UserKey {
            app: AppId::new("consult").unwrap(),
            user: UserId::new(user).unwrap(),
        };
        Entry {
            at: NOW,
            who: Who::from(&key),
            message: (ConversationId(Uuid::from_u128(1)), Seq(seq)),
            what: What::Nobody,
            is_told: false,
        }
    }

    fn sealed(ledger: &mut Ledger, entries: Vec<Entry>) -> Vec<v1::Notes> {
        assert_eq!(ledger.take(entries, NOW, Occasion::Regular), 0);
        let payloads = ledger.seal().into_iter();
        payloads
            .map(|(_, payload)| {
                assert!(payload.len() < chat_proto::MAX_PAYLOAD);
                v1::Notes::decode(payload).unwrap()
            })
            .collect()
    }

    #[test]
    fn what_found_no_room_shows_by_a_number_that_is_left_out() {
        let mut ledger = Ledger::new(7);
        let mut numbers = Vec::new();

        for seq in 1..=3 {
            numbers.extend(
                sealed(&mut ledger, vec![entry("u", seq)])
                    .iter()
                    .map(|one| one.number),
            );
        }
        ledger.leave_out();
        numbers.extend(
            sealed(&mut ledger, vec![entry("u", 4)])
                .iter()
                .map(|one| one.number),
        );

        assert_eq!(numbers, [1, 2, 3, 5]);
        assert!(sealed(&mut ledger, Vec::new()).is_empty());
    }

    #[test]
    fn any_number_of_notes_leaves_in_payloads_that_nats_takes() {
        let long = "u".repeat(UserId::MAX_BYTES);
        let of_one = (0..10_000).map(|seq| entry(&long, seq));
        let of_many = (0..10_000).map(|seq| entry(&format!("{seq}{}", &long[5..]), seq));

        let notes = sealed(&mut Ledger::new(7), of_one.chain(of_many).collect());

        let users = notes.iter().flat_map(|one| &one.users);
        assert_eq!(users.map(|of| of.notes.len()).sum::<usize>(), 20_000);
    }

    #[test]
    fn a_note_is_small() {
        assert!(size_of::<Entry>() <= 56, "{}", size_of::<Entry>());
    }
}
