//! What a server of NATS says to a client, one operation at a time, so that events for users can come
//! twice or change places (fault F15), or be lost on a connection that lives on (F9). NATS itself does
//! the first two on no connection; two publishers, a sweep of the outbox and a reconnect do.
//!
//! Follows the protocol between client and server as far as that needs; routes between servers speak
//! another one: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use chat_proto::{
    subject::is_of_user,
    v1::{self, envelope::Body},
};
use prost::Message as _;

use crate::{proxy::Trouble, rng::Rng};

/// The most events that are held back at once.
const MAX_HELD: usize = 8;

/// The operations of one connection.
#[derive(Debug)]
pub struct Deliveries {
    /// The beginning of an operation.
    rest: Vec<u8>,
    held: Vec<Vec<u8>>,
    rng: Rng,
}

impl Deliveries {
    /// Begins with a connection.
    #[must_use]
    pub const fn new(rng: Rng) -> Self {
        Self {
            rest: Vec::new(),
            held: Vec::new(),
            rng,
        }
    }

    /// Takes what was read, and returns what passes of it: whole operations, without the events that
    /// `trouble` loses, some behind a later one, and some of the others twice.
    pub fn take(&mut self, read: &[u8], trouble: &Trouble) -> Vec<u8> {
        let Trouble { disorder, loss, .. } = *trouble;
        self.rest.extend_from_slice(read);
        let mut passed = Vec::new();
        while let Some(length) = length(&self.rest) {
            let operation: Vec<u8> = self.rest.drain(..length).collect();
            if (disorder, loss) == (0, 0) || !is_event(&operation) {
                passed.extend(operation);
                continue;
            }
            if self.rng.chance(loss) && may_be_lost(&operation) {
                continue;
            }
            if self.held.len() < MAX_HELD && self.rng.chance(disorder) {
                self.held.push(operation);
                continue;
            }
            passed.extend_from_slice(&operation);
            passed.extend(self.release());
            if self.rng.chance(disorder) {
                passed.extend(operation);
            }
        }
        passed
    }

    /// Says whether anything was held back.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns what was held back, the last one first.
    pub fn release(&mut self) -> Vec<u8> {
        self.held.drain(..).rev().flatten().collect()
    }
}

/// Returns how long the first operation is, once all of it is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(bytes.get(..end)?).unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let payload = match words.next() {
        Some("MSG" | "HMSG") => words.last()?.parse::<usize>().ok()? + 2,
        _ => 0,
    };
    let length = end + 2 + payload;
    (length <= bytes.len()).then_some(length)
}

/// Says whether an operation tells something of conversations, calls or presence.
fn is_event(operation: &[u8]) -> bool {
    let mut words = operation.splitn(3, |byte| *byte == b' ');
    let is_message = matches!(words.next(), Some(b"MSG" | b"HMSG"));
    let subject = words.next().map(std::str::from_utf8);
    is_message && matches!(subject, Some(Ok(subject)) if is_of_user(subject))
}

/// Says whether an event may be lost: it is counted or asked for again. What is said of presence is
/// not.
fn may_be_lost(operation: &[u8]) -> bool {
    let end = operation.windows(2).position(|pair| pair == b"\r\n");
    let payload = end.and_then(|end| operation.get(end + 2..operation.len().saturating_sub(2)));
    let envelope = v1::Envelope::decode(payload.unwrap_or_default());
    matches!(
        envelope.map(|envelope| envelope.body),
        Ok(Some(
            Body::MessageAppended(_)
                | Body::MessagesReceived(_)
                | Body::Typing(_)
                | Body::CallNotice(_)
                | Body::CallSignals(_)
        ))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &[u8] = b"INFO {\"a\":1}\r\nPING\r\nMSG _INBOX.x 3 4\r\n\r\n\r\n\r\n+OK\r\n";

    fn event(number: usize) -> Vec<u8> {
        format!("HMSG chat.v1.usr.a.b 7 12 14\r\nNATS/1.0\r\n\r\n{number:02}\r\n").into_bytes()
    }

    #[test]
    fn what_comes_in_any_pieces_passes_as_it_is() {
        let all = [OTHERS, &event(1), OTHERS, &event(2)].concat();
        for size in 1..all.len() {
            let mut deliveries = Deliveries::new(Rng::new(1));
            let pieces = all.chunks(size);
            let passed: Vec<_> = pieces
                .flat_map(|piece| deliveries.take(piece, &Trouble::default()))
                .collect();

            assert_eq!(passed, all, "pieces of {size}");
        }
    }

    /// Has fifty events pass among other things, which all have to; returns those that did.
    fn pass(trouble: &Trouble) -> Vec<usize> {
        let mut deliveries = Deliveries::new(Rng::new(1));
        let mut passed = Vec::new();
        for number in 0..50 {
            let read = [event(number), OTHERS.to_vec()].concat();
            passed.extend(deliveries.take(&read, trouble));
        }
        passed.extend(deliveries.release());
        assert!(!deliveries.is_holding());

        let (mut numbers, mut others) = (Vec::new(), Vec::new());
        while let Some(length) = length(&passed) {
            let operation: Vec<u8> = passed.drain(..length).collect();
            if is_event(&operation) {
                let payload = operation.get(operation.len() - 4..operation.len() - 2);
                let digits = std::str::from_utf8(payload.unwrap()).unwrap();
                numbers.push(digits.parse::<usize>().unwrap());
            } else {
                others.extend(operation);
            }
        }
        assert_eq!(others, OTHERS.repeat(50));
        numbers
    }

    #[test]
    fn events_come_twice_and_out_of_order_and_none_is_lost() {
        let numbers = pass(&Trouble {
            disorder: 25,
            ..Trouble::default()
        });

        assert!(50 < numbers.len(), "none came twice");
        assert!(!numbers.is_sorted(), "none changed places");
        for number in 0..50 {
            assert!(numbers.contains(&number), "{number} is lost");
        }
    }

    #[test]
    fn some_of_what_is_said_of_conversations_and_calls_is_lost_and_nothing_else() {
        let of = |body| {
            let body = Some(body);
            let payload = v1::Envelope {
                body,
                ..v1::Envelope::default()
            };
            let payload = payload.encode_to_vec();
            let line = format!("MSG chat.v1.usr.a.b 7 {}\r\n", payload.len());
            [line.as_bytes(), &payload[..], b"\r\n"].concat()
        };
        let message = of(Body::MessageAppended(v1::MessageAppended::default()));
        let notice = of(Body::CallNotice(v1::CallNotice::default()));
        let presence = of(Body::PresenceChanged(v1::PresenceChanged::default()));
        let mut deliveries = Deliveries::new(Rng::new(1));
        let trouble = Trouble {
            loss: 25,
            ..Trouble::default()
        };

        let n_passed = |deliveries: &mut Deliveries, event: &[u8]| {
            let passed = deliveries.take(&event.repeat(50), &trouble);
            passed.len() / event.len()
        };
        assert!((1..50).contains(&n_passed(&mut deliveries, &message)));
        assert!((1..50).contains(&n_passed(&mut deliveries, &notice)));
        assert_eq!(n_passed(&mut deliveries, &presence), 50);
        assert_eq!(n_passed(&mut deliveries, OTHERS), 50);
    }
}
