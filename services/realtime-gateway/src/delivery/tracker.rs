//! The order of one conversation: what may be delivered, what came twice, what is missing.
//!
//! Sans-IO: events and answers of the store in, deliverable events out. It knows neither sockets nor
//! the time; whoever drives it waits a moment for what is missing and then fetches it.

use std::collections::BTreeMap;

use chat_domain::{Seq, Timestamp};

/// How many early events are kept. Further ones are fetched when their turn comes.
const MAX_HELD: usize = 64;

/// How far back the tail is read again when sequence numbers may have been reused.
const REREAD: u64 = 64;

/// An event with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Item<E> {
    pub seq: Seq,
    pub at: Timestamp,
    pub event: E,
}

/// What became of an offered event.
#[derive(Debug, PartialEq, Eq)]
pub enum Offered<E> {
    /// These are next, in order.
    Deliver(Vec<E>),
    /// It was delivered before, or belongs to a past generation of the database.
    Duplicate,
    /// It is early. With `first`, nothing was missing before: somebody has to see to it.
    Held {
        /// Nothing was missing before.
        first: bool,
    },
}

/// The state of one conversation: 32 bytes while nothing is missing.
///
/// Invariant: `gap` is there exactly while [`Tracker::missing`] is.
#[derive(Debug)]
pub struct Tracker<E> {
    next: Seq,
    /// The database's generation; 0 until one was heard of.
    epoch: u64,
    /// When the newest delivered message was made.
    last_at: Timestamp,
    gap: Option<Box<Gap<E>>>,
}

#[derive(Debug)]
struct Gap<E> {
    /// The highest place known to be taken.
    known: Seq,
    held: BTreeMap<Seq, Item<E>>,
    /// Set while the tail has to be read again: from behind here.
    reread: Option<Seq>,
}

impl<E> Tracker<E> {
    /// Starts before `next`, everything up to `last_at` being known to the clients.
    #[must_use]
    pub const fn new(next: Seq, epoch: u64, last_at: Timestamp) -> Self {
        Self {
            next,
            epoch,
            last_at,
            gap: None,
        }
    }

    /// Returns the place of the next event to deliver.
    #[must_use]
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// Returns the database's generation; 0 until one was heard of.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tells whether [`Tracker::offer`] would certainly call an event a duplicate.
    #[must_use]
    pub const fn has_delivered(&self, epoch: u64, seq: Seq) -> bool {
        epoch < self.epoch || (epoch == self.epoch && seq.0 < self.next.0)
    }

    /// Takes an event that arrived.
    pub fn offer(&mut self, epoch: u64, item: Item<E>) -> Offered<E> {
        if epoch < self.epoch {
            return Offered::Duplicate;
        }
        let first = self.gap.is_none();
        self.enter_epoch(epoch, item.seq);
        let rereading = self.gap.as_ref().is_some_and(|gap| gap.reread.is_some());
        if !rereading {
            if item.seq < self.next {
                return Offered::Duplicate;
            }
            if item.seq == self.next {
                let mut deliver = vec![self.pass(item)];
                self.drain_held(&mut deliver);
                return Offered::Deliver(deliver);
            }
        }
        let gap = self.gap(item.seq);
        if gap.held.len() < MAX_HELD {
            gap.held.insert(item.seq, item);
        }
        Offered::Held { first }
    }

    /// Learns that places up to `head` are taken. Returns true when something is missing that was
    /// not before: somebody has to see to it.
    pub fn observe(&mut self, epoch: u64, head: Seq) -> bool {
        if epoch < self.epoch {
            return false;
        }
        let first = self.gap.is_none();
        self.enter_epoch(epoch, head);
        if self.next <= head {
            self.gap(head);
        }
        first && self.gap.is_some()
    }

    /// Returns the place behind which everything has to be read from the store, if anything is
    /// missing.
    #[must_use]
    pub fn missing(&self) -> Option<Seq> {
        let gap = self.gap.as_ref()?;
        Some(gap.reread.unwrap_or(Seq(self.next.0.saturating_sub(1))))
    }

    /// Takes the store's answer: what lies behind [`Tracker::missing`], ascending. The store is the
    /// authority: what it leaves out does not exist. Returns what is next, in order.
    pub fn fill(&mut self, epoch: u64, items: Vec<Item<E>>) -> Vec<E> {
        let mut deliver = Vec::with_capacity(items.len());
        if epoch < self.epoch {
            return deliver;
        }
        self.enter_epoch(epoch, self.next);
        let Some(gap) = &mut self.gap else {
            return deliver;
        };
        if let Some(from) = gap.reread.take() {
            let newest = items.last().map_or(from, |item| item.seq);
            let last_at = self.last_at;
            for item in items {
                // Numbers say nothing across generations; the time does.
                if last_at < item.at {
                    deliver.push(self.pass(item));
                }
            }
            self.next = newest.next();
        } else {
            for item in items {
                if self.next <= item.seq {
                    deliver.push(self.pass(item));
                }
            }
        }
        self.drain_held(&mut deliver);
        deliver
    }

    /// Lets go of everything missing that the store, asked repeatedly, does not know.
    pub fn give_up(&mut self) {
        self.gap = None;
    }

    /// Moves behind `to`, the newest place of the store, delivering nothing up to it. Returns what
    /// is next, in order.
    pub fn skip(&mut self, epoch: u64, to: Seq) -> Vec<E> {
        let mut deliver = Vec::new();
        if self.epoch <= epoch {
            self.enter_epoch(epoch, to);
            if let Some(gap) = &mut self.gap {
                gap.reread = None;
                self.next = to.next();
            }
            self.drain_held(&mut deliver);
        }
        deliver
    }

    /// With a new generation, forgets the numbers and asks for the tail around `seq`.
    fn enter_epoch(&mut self, epoch: u64, seq: Seq) {
        if epoch == self.epoch {
            return;
        }
        let known_before = self.epoch != 0;
        self.epoch = epoch;
        if known_before {
            let from = Seq(self.next.min(seq).0.saturating_sub(REREAD));
            self.gap = Some(Box::new(Gap {
                known: seq,
                held: BTreeMap::new(),
                reread: Some(from),
            }));
        }
    }

    /// Returns the gap, opening one if there is none, which reaches at least to `known`.
    fn gap(&mut self, known: Seq) -> &mut Gap<E> {
        let gap = self.gap.get_or_insert_with(|| {
            Box::new(Gap {
                known,
                held: BTreeMap::new(),
                reread: None,
            })
        });
        gap.known = gap.known.max(known);
        gap
    }

    fn pass(&mut self, item: Item<E>) -> E {
        self.next = item.seq.next();
        self.last_at = self.last_at.max(item.at);
        item.event
    }

    fn drain_held(&mut self, deliver: &mut Vec<E>) {
        let Some(mut gap) = self.gap.take() else {
            return;
        };
        while let Some(entry) = gap.held.first_entry() {
            if self.next < *entry.key() {
                break;
            }
            let item = entry.remove();
            if item.seq == self.next {
                deliver.push(self.pass(item));
            }
        }
        if self.next <= gap.known {
            self.gap = Some(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 1;

    fn item(seq: u64) -> Item<u64> {
        Item {
            seq: Seq(seq),
            at: Timestamp(i64::try_from(seq).unwrap() * 10),
            event: seq,
        }
    }

    fn tracker(next: u64) -> Tracker<u64> {
        Tracker::new(Seq(next), EPOCH, Timestamp(0))
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Tracker<[u64; 20]>>(), 32);
    }

    #[test]
    fn the_next_is_delivered_and_the_past_dropped() {
        let mut tracker = tracker(5);

        assert_eq!(tracker.offer(EPOCH, item(5)), Offered::Deliver(vec![5]));
        assert_eq!(tracker.offer(EPOCH, item(5)), Offered::Duplicate);
        assert_eq!(tracker.offer(EPOCH, item(4)), Offered::Duplicate);
        assert!(tracker.has_delivered(EPOCH, Seq(5)));
        assert_eq!(tracker.missing(), None);
    }

    #[test]
    fn early_events_wait_for_their_turn() {
        let mut tracker = tracker(1);

        assert_eq!(tracker.offer(EPOCH, item(3)), Offered::Held { first: true });
        assert_eq!(
            tracker.offer(EPOCH, item(2)),
            Offered::Held { first: false }
        );
        assert_eq!(tracker.missing(), Some(Seq(0)));
        assert_eq!(
            tracker.offer(EPOCH, item(1)),
            Offered::Deliver(vec![1, 2, 3])
        );
        assert_eq!(tracker.missing(), None);
    }

    #[test]
    fn a_fetched_range_closes_the_gap() {
        let mut tracker = tracker(1);
        tracker.offer(EPOCH, item(4));

        let delivered = tracker.fill(EPOCH, vec![item(1), item(2), item(3)]);

        assert_eq!(delivered, [1, 2, 3, 4]);
        assert_eq!(tracker.missing(), None);
    }

    #[test]
    fn a_head_ahead_is_a_gap_once() {
        let mut tracker = tracker(3);

        assert!(!tracker.observe(EPOCH, Seq(2)));
        assert!(tracker.observe(EPOCH, Seq(3)));
        assert!(!tracker.observe(EPOCH, Seq(4)));
        assert_eq!(tracker.fill(EPOCH, vec![item(3), item(4)]), [3, 4]);
    }

    #[test]
    fn what_the_store_left_out_is_passed_over() {
        let mut tracker = tracker(1);
        tracker.observe(EPOCH, Seq(9));

        assert_eq!(tracker.fill(EPOCH, vec![item(8), item(9)]), [8, 9]);
    }

    #[test]
    fn a_place_that_does_not_exist_is_given_up() {
        let mut tracker = tracker(1);
        tracker.offer(EPOCH, item(1_000_000));

        assert_eq!(tracker.fill(EPOCH, vec![]), [0_u64; 0]);
        assert!(tracker.missing().is_some());
        tracker.give_up();

        assert_eq!(tracker.offer(EPOCH, item(1)), Offered::Deliver(vec![1]));
    }

    #[test]
    fn skipping_moves_behind_what_is_stored() {
        let mut tracker = tracker(1);
        tracker.offer(EPOCH, item(700));
        tracker.offer(EPOCH, item(701));

        assert_eq!(tracker.skip(EPOCH, Seq(700)), [701]);
        assert_eq!(tracker.missing(), None);
        assert_eq!(tracker.offer(EPOCH, item(702)), Offered::Deliver(vec![702]));
    }

    #[test]
    fn skipping_without_a_gap_changes_nothing() {
        let mut tracker = tracker(5);

        assert_eq!(tracker.skip(EPOCH, Seq(9)), [0_u64; 0]);
        assert_eq!(tracker.next(), Seq(5));
    }

    #[test]
    fn a_new_generation_reads_the_tail_again() {
        let mut tracker = tracker(1);
        for seq in 1..=10 {
            tracker.offer(EPOCH, item(seq));
        }
        let reused = |seq: u64, event| Item {
            at: Timestamp(1_000 + i64::try_from(seq).unwrap()),
            event,
            ..item(seq)
        };

        // 9 and 10 were lost with the old primary; the new one used their numbers again.
        let offered = tracker.offer(2, reused(10, 100));
        assert_eq!(offered, Offered::Held { first: true });
        assert_eq!(tracker.missing(), Some(Seq(0)));
        let tail = (1..=8)
            .map(item)
            .chain([reused(9, 90), reused(10, 100)])
            .collect();

        assert_eq!(tracker.fill(2, tail), [90, 100]);
        assert_eq!(tracker.offer(2, reused(10, 100)), Offered::Duplicate);
        assert_eq!(tracker.offer(EPOCH, item(11)), Offered::Duplicate);
        assert_eq!(
            tracker.offer(2, reused(11, 110)),
            Offered::Deliver(vec![110])
        );
    }

    #[test]
    fn a_new_generation_that_lost_nothing_repeats_nothing() {
        let mut tracker = tracker(1);
        for seq in 1..=3 {
            tracker.offer(EPOCH, item(seq));
        }

        assert!(tracker.observe(2, Seq(3)));
        assert_eq!(tracker.fill(2, (1..=3).map(item).collect()), [0_u64; 0]);
        assert_eq!(tracker.missing(), None);
        assert_eq!(tracker.offer(2, item(4)), Offered::Deliver(vec![4]));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    /// What happens on the way from the store to a tracker.
    #[derive(Debug, Clone)]
    enum Step {
        /// An event of the place arrives, for the first or another time.
        Event(u64),
        /// A position check answers.
        Head(u64),
        /// Whoever drives the tracker fetches what is missing, at most so many.
        Fetch(usize),
    }

    proptest! {
        #[test]
        fn everything_is_delivered_once_and_in_order(
            start in 1_u64..5,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut tracker = Tracker::new(Seq(start), 1, Timestamp(0));
            let mut delivered = Vec::new();
            // The store knows a place as soon as anything tells of it.
            let mut stored = start - 1;

            for step in steps {
                match step {
                    Step::Event(seq) => {
                        stored = stored.max(seq);
                        if let Offered::Deliver(events) = tracker.offer(1, item(seq)) {
                            delivered.extend(events);
                        }
                    }
                    Step::Head(seq) => {
                        stored = stored.max(seq);
                        tracker.observe(1, Seq(seq));
                    }
                    Step::Fetch(limit) => fetch(&mut tracker, stored, limit, &mut delivered),
                }
                let held = tracker.gap.as_ref().map_or(0, |gap| gap.held.len());
                prop_assert!(held <= MAX_HELD);
            }
            tracker.observe(1, Seq(stored));
            while tracker.missing().is_some() {
                fetch(&mut tracker, stored, 7, &mut delivered);
            }

            let expected: Vec<u64> = (start..=stored).collect();
            prop_assert_eq!(delivered, expected);
        }
    }

    fn fetch(tracker: &mut Tracker<u64>, stored: u64, limit: usize, delivered: &mut Vec<u64>) {
        if let Some(missing) = tracker.missing() {
            let range = (missing.0 + 1..=stored).take(limit).map(item);
            delivered.extend(tracker.fill(1, range.collect()));
        }
    }

    fn item(seq: u64) -> Item<u64> {
        Item {
            seq: Seq(seq),
            at: Timestamp(i64::try_from(seq).unwrap()),
            event: seq,
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (1_u64..150).prop_map(Step::Event),
            1 => (1_u64..150).prop_map(Step::Head),
            1 => (1_usize..20).prop_map(Step::Fetch),
        ]
    }
}
