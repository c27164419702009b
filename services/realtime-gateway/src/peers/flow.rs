//! One end of one stream, as a state machine: bytes, segments and time go in, segments come out. It
//! repeats nothing and repairs nothing: whatever is missing ends the stream.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use chat_proto::v1;

/// How much may be on its way, or wait to be used, in one direction.
pub(super) const WINDOW: usize = 64 * 1024;
/// The most bytes of one segment; brokers refuse what is over 1 MiB.
const MAX_DATA: usize = 32 * 1024;
/// What is unconfirmed for longer may be lost: the other end is told how far this one is.
const DOUBT: Duration = Duration::from_millis(500);
/// How long the other end may take to confirm, and to end what this end has given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why a stream is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such gateway.
    #[error("the other gateway is gone")]
    Unreachable,
    /// The other end gave it up, or does not know it.
    #[error("the other gateway ended the stream")]
    Reset,
    /// Something was lost on the way, or was not confirmed in time.
    #[error("a part of the stream was lost")]
    Lost,
}

/// How far this end is with ending its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// It ends behind what is unsent.
    Wanted,
    Sent,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    /// The other end has to hear of it.
    Failing(Failure),
    Failed(Failure),
}

/// The state of one end.
#[derive(Debug)]
pub(super) struct Flow {
    /// The first segment, which tells the other end of the stream, is still to be sent.
    opens: bool,
    unsent: BytesMut,
    /// Bytes sent, and one more for the end.
    sent: u64,
    confirmed: u64,
    /// Up to where the other end has room.
    allowed: u64,
    /// Since when something is unconfirmed and nothing was confirmed.
    waits_since: Option<Instant>,
    end: End,

    arrived: BytesMut,
    /// Bytes received, and one more for the end.
    received: u64,
    taken: u64,
    /// What of these two the other end was told.
    told: (u64, u64),
    /// It is time to tell, even if nothing else is to be sent.
    tells: bool,
    has_ended: bool,

    state: State,
    /// Nobody uses it any more; it is given up at the instant.
    abandoned: Option<Instant>,
}

impl Flow {
    /// Begins a stream.
    pub(super) fn opening() -> Self {
        Self {
            opens: true,
            ..Self::opened()
        }
    }

    /// Begins the other end of a stream that was opened.
    pub(super) fn opened() -> Self {
        Self {
            opens: false,
            unsent: BytesMut::new(),
            sent: 0,
            confirmed: 0,
            allowed: WINDOW as u64,
            waits_since: None,
            end: End::Open,
            arrived: BytesMut::new(),
            received: 0,
            taken: 0,
            told: (0, 0),
            tells: false,
            has_ended: false,
            state: State::Going,
            abandoned: None,
        }
    }

    /// Returns why it is over, if it is.
    pub(super) const fn failure(&self) -> Option<Failure> {
        match self.state {
            State::Going => None,
            State::Failing(failure) => Some(failure),
            State::Failed(failure) => Some(failure),
        }
    }

    /// Returns how many bytes [`write`](Self::write) takes.
    pub(super) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.unsent.len())
    }

    /// Queues as much as there is room for, and returns how much that is.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.get(..self.room()).unwrap_or(bytes);
        self.unsent.extend_from_slice(taken);
        taken.len()
    }

    /// Ends this direction behind what is queued.
    pub(super) fn end(&mut self) {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
    }

    /// Returns what has arrived.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.arrived
    }

    /// Takes the first `n` bytes of what has arrived.
    pub(super) fn take(&mut self, n: usize) {
        let n = n.min(self.arrived.len());
        self.arrived.advance(n);
        self.taken += n as u64;
        if self.arrived.is_empty() {
            self.arrived = BytesMut::new();
        }
    }

    /// Whether nothing will arrive any more.
    pub(super) fn is_at_end(&self) -> bool {
        self.has_ended && self.arrived.is_empty()
    }

    /// Hears that nobody will use this end any more.
    pub(super) fn abandon(&mut self, now: Instant) {
        if self.end == End::Open {
            self.fail(Failure::Reset);
        }
        self.abandoned = Some(now + PATIENCE);
    }

    /// Whether nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        let is_done = self.end == End::Sent && self.confirmed == self.sent && self.has_ended;
        let is_confirmed = self.told.0 == self.received;
        self.abandoned.is_some()
            && match self.state {
                State::Going => is_done && is_confirmed,
                State::Failing(_) => false,
                State::Failed(_) => true,
            }
    }

    /// Ends the stream, and tells the other end.
    pub(super) fn fail(&mut self, failure: Failure) {
        if self.state == State::Going {
            self.failed(failure);
            if !self.opens {
                self.state = State::Failing(failure);
            }
        }
    }

    /// Hears that the stream is over; there is nobody to tell.
    pub(super) fn failed(&mut self, failure: Failure) {
        if self.state == State::Going {
            self.state = State::Failed(failure);
        }
        self.unsent = BytesMut::new();
        self.arrived = BytesMut::new();
    }

    /// Takes a segment of the other end.
    pub(super) fn hear(&mut self, segment: &v1::Segment, now: Instant) {
        if self.state != State::Going {
            return;
        }
        if segment.resets {
            return self.failed(Failure::Reset);
        }
        let len = segment.data.len() as u64 + u64::from(segment.ends);
        let next = segment.position.checked_add(len);
        if next.is_some_and(|next| next <= self.received) && len > 0 {
            return; // It has been here before.
        }
        let fits = self.arrived.len() + segment.data.len() <= WINDOW;
        let is_sound = segment.position == self.received
            && (fits && !self.has_ended || len == 0)
            && segment.received <= self.sent
            && segment.taken <= segment.received;
        if !is_sound {
            return self.fail(Failure::Lost);
        }

        if self.confirmed < segment.received {
            self.confirmed = segment.received;
            self.waits_since = (self.confirmed < self.sent).then_some(now);
        }
        self.allowed = self.allowed.max(segment.taken + WINDOW as u64);
        self.received += len;
        self.has_ended |= segment.ends;
        if self.abandoned.is_some() {
            self.taken += segment.data.len() as u64;
        } else {
            self.arrived.extend_from_slice(&segment.data);
        }
        // The other end can forget the stream as soon as it knows.
        self.tells |= segment.ends;
    }

    /// Does what is due at `now`: tells what was received, and gives up what takes too long.
    pub(super) fn tick(&mut self, now: Instant) {
        let is_lost = self
            .waits_since
            .is_some_and(|since| since + PATIENCE <= now)
            || self.abandoned.is_some_and(|until| until <= now);
        if is_lost {
            self.fail(Failure::Lost);
        }
        let is_in_doubt = self.waits_since.is_some_and(|since| since + DOUBT <= now);
        self.tells |= is_in_doubt || self.told != (self.received, self.taken);
    }

    /// Whether [`next`](Self::next) returns a segment.
    pub(super) fn is_due(&self) -> bool {
        match self.state {
            State::Going => {}
            State::Failing(_) => return true,
            State::Failed(_) => return false,
        }
        let (_, told) = self.told;
        self.opens
            || self.tells
            || self.sendable() > 0
            || self.can_end()
            || self.taken - told >= WINDOW as u64 / 4
    }

    /// Returns the next segment to send, without names.
    pub(super) fn next(&mut self, now: Instant) -> Option<v1::Segment> {
        if !self.is_due() {
            return None;
        }
        let position = self.sent;
        if let State::Failing(failure) = self.state {
            self.state = State::Failed(failure);
            return Some(v1::Segment {
                position,
                resets: true,
                ..v1::Segment::default()
            });
        }
        let n = self.sendable().min(MAX_DATA);
        let data: Bytes = self.unsent.split_to(n).freeze();
        if self.unsent.is_empty() {
            self.unsent = BytesMut::new();
        }
        let ends = self.can_end();
        if ends {
            self.end = End::Sent;
        }
        self.sent += data.len() as u64 + u64::from(ends);
        if position < self.sent {
            self.waits_since.get_or_insert(now);
        }
        self.told = (self.received, self.taken);
        self.tells = false;
        Some(v1::Segment {
            opens: std::mem::take(&mut self.opens),
            position,
            data,
            ends,
            received: self.received,
            taken: self.taken,
            ..v1::Segment::default()
        })
    }

    /// Returns how much of what is unsent the other end has room for.
    fn sendable(&self) -> usize {
        let room = usize::try_from(self.allowed.saturating_sub(self.sent)).unwrap_or(WINDOW);
        self.unsent.len().min(room)
    }

    fn can_end(&self) -> bool {
        self.end == End::Wanted && self.unsent.is_empty()
    }
}

#[cfg(test)]
mod tests;
