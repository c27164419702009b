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
mod tests {
    use std::collections::VecDeque;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn pair() -> (Flow, Flow) {
        (Flow::opening(), Flow::opened())
    }

    /// Hands all that is due from one to the other.
    fn pass(from: &mut Flow, to: &mut Flow, now: Instant) -> usize {
        let mut n = 0;
        while let Some(segment) = from.next(now) {
            to.hear(&segment, now);
            n += 1;
        }
        n
    }

    #[test]
    fn what_the_other_end_does_not_use_holds_the_sender_back() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        let much = vec![7; 4 * WINDOW];
        assert_eq!(a.write(&much), WINDOW);
        pass(&mut a, &mut b, now);
        assert_eq!(a.write(&much), WINDOW);

        let n = pass(&mut a, &mut b, now);

        assert_eq!((n, a.room(), b.arrived().len()), (0, 0, WINDOW));
        b.take(WINDOW / 2);
        pass(&mut b, &mut a, now);
        pass(&mut a, &mut b, now);
        assert_eq!((a.room(), b.arrived().len()), (WINDOW / 2, WINDOW));
    }

    #[test]
    fn a_hole_ends_both_ends() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.write(b"one");
        a.next(now).unwrap();
        a.write(b"two");

        pass(&mut a, &mut b, now);
        pass(&mut b, &mut a, now);

        assert_eq!(b.failure(), Some(Failure::Lost));
        assert_eq!(a.failure(), Some(Failure::Reset));
        assert!(b.arrived().is_empty());
    }

    #[test]
    fn a_segment_that_comes_twice_counts_once() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.write(b"one");
        let segment = a.next(now).unwrap();

        b.hear(&segment, now);
        b.hear(&segment, now);

        assert_eq!((b.arrived(), b.failure()), (&b"one"[..], None));
    }

    #[test]
    fn the_loss_of_the_last_segment_is_noticed() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.write(b"one");
        a.next(now).unwrap();

        a.tick(now + DOUBT);
        pass(&mut a, &mut b, now);

        assert_eq!(b.failure(), Some(Failure::Lost));
    }

    #[test]
    fn an_end_that_hears_nothing_gives_up() {
        let now = Instant::now();
        let (mut a, _) = pair();
        a.write(b"one");
        a.next(now).unwrap();

        a.tick(now + DOUBT);
        assert_eq!(a.failure(), None);
        a.tick(now + PATIENCE);

        assert_eq!(a.failure(), Some(Failure::Lost));
    }

    #[test]
    fn an_end_that_reads_slowly_is_not_taken_for_dead() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.write(b"one");
        pass(&mut a, &mut b, now);

        b.tick(now);
        pass(&mut b, &mut a, now);
        a.tick(now + 2 * PATIENCE);

        assert_eq!((a.failure(), b.arrived()), (None, &b"one"[..]));
    }

    #[test]
    fn both_ends_are_over_when_both_have_ended() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.write(b"question");
        a.end();
        pass(&mut a, &mut b, now);
        b.write(b"answer");
        b.end();
        b.take(8);
        b.abandon(now);
        assert!(!b.is_over());

        pass(&mut b, &mut a, now);
        assert_eq!(a.arrived(), b"answer");
        a.take(6);
        assert!(a.is_at_end());
        a.abandon(now);
        pass(&mut a, &mut b, now);

        assert!(a.is_over() && b.is_over());
        assert_eq!((a.failure(), b.failure()), (None, None));
    }

    #[test]
    fn an_end_that_is_dropped_takes_the_other_with_it() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.write(b"question");
        pass(&mut a, &mut b, now);

        a.abandon(now);
        pass(&mut a, &mut b, now);

        assert!(a.is_over());
        assert_eq!(b.failure(), Some(Failure::Reset));
    }

    #[test]
    fn an_end_that_was_abandoned_does_not_wait_for_ever() {
        let now = Instant::now();
        let (mut a, mut b) = pair();
        a.end();
        pass(&mut a, &mut b, now);
        b.tick(now);
        pass(&mut b, &mut a, now);
        a.abandon(now);

        a.tick(now + PATIENCE);
        pass(&mut a, &mut b, now);

        assert!(a.is_over());
        assert_eq!(b.failure(), Some(Failure::Reset));
    }

    #[test]
    fn an_end_that_breaks_the_window_is_cut_off() {
        let now = Instant::now();
        let (_, mut b) = pair();

        b.hear(
            &v1::Segment {
                data: vec![0; WINDOW + 1].into(),
                ..v1::Segment::default()
            },
            now,
        );

        assert_eq!(b.failure(), Some(Failure::Lost));
        assert!(b.next(now).unwrap().resets);
    }

    /// What happens to a segment.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Arrive,
        Lose,
        Double,
        Swap,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            20 => Just(Fate::Arrive),
            1 => Just(Fate::Lose),
            2 => Just(Fate::Double),
            1 => Just(Fate::Swap),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_on_the_way_what_is_read_is_a_prefix_of_what_was_written(
            writes in vec(1_usize..20_000, 1..12),
            fates in vec(fate(), 1..60),
        ) {
            let mut now = Instant::now();
            let (mut a, mut b) = pair();
            let written = (0..=250).cycle().take(writes.iter().sum()).collect::<Vec<_>>();
            let mut unwritten = &written[..];
            let mut read = Vec::new();
            let mut fates = fates.into_iter().chain(std::iter::repeat(Fate::Arrive));
            let mut is_whole = true;

            for n in writes.into_iter().chain(std::iter::repeat_n(WINDOW, 100)) {
                let n = a.write(&unwritten[..n.min(unwritten.len())]);
                unwritten = &unwritten[n..];
                if unwritten.is_empty() {
                    a.end();
                }
                let mut way = VecDeque::new();
                while let Some(segment) = a.next(now) {
                    match fates.next().unwrap() {
                        Fate::Arrive => way.push_back(segment),
                        Fate::Lose => is_whole = false,
                        Fate::Double => way.extend([segment.clone(), segment]),
                        Fate::Swap => {
                            is_whole &= way.is_empty();
                            way.push_front(segment);
                        }
                    }
                }
                for segment in way {
                    b.hear(&segment, now);
                }
                read.extend_from_slice(b.arrived());
                b.take(usize::MAX);
                b.tick(now);
                pass(&mut b, &mut a, now);
                now += Duration::from_millis(200);
                a.tick(now);
                if b.is_at_end() || b.failure().is_some() || a.failure().is_some() {
                    break;
                }
            }

            prop_assert!(written.starts_with(&read));
            if is_whole {
                prop_assert_eq!(read, written);
                prop_assert_eq!((a.failure(), b.failure()), (None, None));
            } else {
                prop_assert!(a.failure().is_some());
            }
        }
    }
}
