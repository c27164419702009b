//! A gateway around its cores: what `delivery`, `registry` and `events::connect` do, without tasks.

use std::collections::{BTreeMap, VecDeque};

use chat_domain::{AppId, Seq, Timestamp, UserId};
use realtime_gateway::{
    delivery::{self, Item, Tracker},
    session::{self, Offered, Places, RecoveryKey, Room, SessionTag},
    store::Opened,
    transport,
};

use crate::{
    client::{Event, Sent},
    store::{EPOCH, Store, id, index},
};

/// How many messages may wait for a client that does not read.
const ROOM: usize = 4;
/// How many messages are fetched at once.
pub(crate) const MAX_RANGE: u64 = 5;

pub(crate) struct Socket {
    pub(crate) places: Places,
    pub(crate) tag: Option<SessionTag>,
    pub(crate) outbox: VecDeque<Sent>,
    /// Attached: events come.
    pub(crate) is_in: bool,
    /// Somebody fetches, and got so much from behind a place.
    pub(crate) is_refilled: bool,
    pub(crate) fetched: VecDeque<(usize, Seq)>,
}

#[derive(Default)]
pub(crate) struct Gateway {
    /// Which life this is.
    pub(crate) life: u64,
    pub(crate) is_cut: bool,
    pub(crate) trackers: BTreeMap<usize, Tracker<Seq>>,
    pub(crate) sockets: BTreeMap<u64, Socket>,
    /// Whether the user's positions are known.
    pub(crate) is_open: bool,
    /// Conversations in which something is missing, with what was fetched meanwhile.
    pub(crate) repairs: Vec<(usize, Option<Vec<Seq>>)>,
}

/// What signs, the same everywhere.
pub(crate) struct Keys {
    pub(crate) key: RecoveryKey,
    pub(crate) app: AppId,
    pub(crate) user: UserId,
    pub(crate) now: Timestamp,
}

impl Keys {
    fn offset(&self, tag: Option<SessionTag>, places: &Places) -> Option<String> {
        let owner = (&self.app, &self.user);
        Some(self.key.offset(owner, tag?, places, self.now))
    }
}

impl Socket {
    pub(crate) fn new(places: Places, tag: Option<SessionTag>) -> Self {
        Self {
            places,
            tag,
            outbox: VecDeque::new(),
            is_in: false,
            is_refilled: false,
            fetched: VecDeque::new(),
        }
    }

    /// Offers a message that this gateway delivers, or one that was fetched for the socket.
    fn take(&mut self, keys: &Keys, conversation: usize, seq: Seq, is_fetched: bool) -> Offered {
        let Self {
            places,
            outbox,
            tag,
            ..
        } = self;
        let queue = |places: &Places| {
            if ROOM <= outbox.len() {
                return transport::Sent::Full;
            }
            outbox.push_back(Sent {
                event: Event::Message(conversation, seq),
                offset: keys.offset(*tag, places),
            });
            transport::Sent::Queued
        };
        let at = (EPOCH, seq);
        let offered = if is_fetched {
            places.fill(id(conversation), at, queue)
        } else {
            places.offer(id(conversation), at, queue)
        };
        if offered == (Offered::Behind { first: true }) {
            assert!(!self.is_refilled, "two fetch for one socket");
            self.is_refilled = true;
        }
        offered
    }

    /// Queues something that is not left out.
    pub(crate) fn tell(&mut self, keys: &Keys, event: Event) {
        let offset = keys.offset(self.tag, &self.places);
        self.outbox.push_back(Sent { event, offset });
    }

    fn observe(&mut self, conversation: usize, head: Seq) {
        if self.places.observe(id(conversation), EPOCH, head) {
            assert!(!self.is_refilled, "two fetch for one socket");
            self.is_refilled = true;
        }
    }

    /// Does a step of fetching what the socket misses.
    pub(crate) fn refill(&mut self, keys: &Keys, store: Option<&Store>) -> u64 {
        if !self.is_refilled {
            return 0;
        }
        let mut n_queued = 0;
        while let Some((conversation, seq)) = self.fetched.front().copied() {
            match self.take(keys, conversation, seq, true) {
                Offered::Queued => n_queued += 1,
                Offered::Unneeded => {}
                Offered::Behind { .. } => return n_queued,
                Offered::Closed | Offered::Lost => unreachable!(),
            }
            self.fetched.pop_front();
        }
        match (self.places.missing(), store) {
            (None, _) => self.is_refilled = false,
            (Some((conversation, after)), Some(store)) => {
                let conversation = index(conversation);
                let range = store.range(conversation, after, MAX_RANGE);
                self.fetched = range.into_iter().map(|seq| (conversation, seq)).collect();
            }
            (Some(_), None) => {}
        }
        n_queued
    }
}

impl Gateway {
    /// Learns where the user's conversations stand.
    pub(crate) fn open(&mut self, opened: &Opened) {
        let was_open = std::mem::replace(&mut self.is_open, true);
        for (conversation, last) in &opened.heads {
            let conversation = index(*conversation);
            let tracker = self.trackers.entry(conversation).or_insert_with(|| {
                let next = if was_open { Seq(1) } else { last.next() };
                Tracker::new(next, EPOCH, Timestamp(0))
            });
            if tracker.observe(EPOCH, *last) {
                self.repairs.push((conversation, None));
            }
        }
    }

    /// Returns where this gateway thinks that the conversations stand.
    pub(crate) fn standing(&self) -> Option<Opened> {
        self.is_open.then(|| Opened {
            heads: self
                .trackers
                .iter()
                .map(|(n, tracker)| (id(*n), Seq(tracker.next().0 - 1)))
                .collect(),
            changed_at: Vec::new(),
            complete: true,
            epoch: EPOCH,
        })
    }

    /// Lets events come to a socket.
    pub(crate) fn attach(&mut self, number: u64) {
        let socket = self.sockets.get_mut(&number).unwrap();
        socket.is_in = true;
        socket.is_refilled = socket.places.is_behind();
        for (conversation, tracker) in &self.trackers {
            socket.observe(*conversation, Seq(tracker.next().0 - 1));
        }
    }

    /// Forgets the user when no socket of its is here.
    pub(crate) fn leave_if_empty(&mut self) {
        if self.sockets.is_empty() {
            *self = Self {
                life: self.life,
                is_cut: self.is_cut,
                ..Self::default()
            };
        }
    }

    /// Takes an event.
    pub(crate) fn take(&mut self, keys: &Keys, store: &Store, conversation: usize, seq: Seq) {
        if self.sockets.is_empty() {
            return;
        }
        let at = store.made_at(conversation, seq);
        let next = if self.is_open { Seq(1) } else { seq };
        let tracker = self
            .trackers
            .entry(conversation)
            .or_insert_with(|| Tracker::new(next, EPOCH, Timestamp(0)));
        let item = Item {
            seq,
            at,
            event: seq,
        };
        match tracker.offer(EPOCH, item) {
            delivery::Offered::Deliver(events) => self.write(keys, conversation, &events),
            delivery::Offered::Held { first: true } => self.repairs.push((conversation, None)),
            delivery::Offered::Held { first: false } | delivery::Offered::Duplicate => {}
        }
    }

    fn write(&mut self, keys: &Keys, conversation: usize, events: &[Seq]) {
        for seq in events {
            for socket in self.sockets.values_mut().filter(|socket| socket.is_in) {
                socket.take(keys, conversation, *seq, false);
            }
        }
    }

    /// Learns how far conversations are, and which began.
    pub(crate) fn check(&mut self, store: &Store) {
        let begun = (0..store.n_conversations()).filter(|n| Seq(0) < store.last(*n));
        for conversation in begun.filter(|_| self.is_open) {
            let beginning = || Tracker::new(Seq(1), EPOCH, Timestamp(0));
            self.trackers.entry(conversation).or_insert_with(beginning);
        }
        for (conversation, tracker) in &mut self.trackers {
            if tracker.observe(EPOCH, store.last(*conversation)) {
                self.repairs.push((*conversation, None));
            }
        }
    }

    /// Does a step of fetching what is missing: asks the store, or takes its answer.
    pub(crate) fn repair(&mut self, keys: &Keys, store: &Store, at: usize) {
        let (conversation, answer) = self.repairs.swap_remove(at);
        let tracker = self.trackers.get_mut(&conversation).unwrap();
        let Some(after) = tracker.missing() else {
            return;
        };
        let Some(answer) = answer else {
            let answer = store.range(conversation, after, MAX_RANGE);
            self.repairs.push((conversation, Some(answer)));
            return;
        };
        let head = store.last(conversation);
        if after.0 + MAX_RANGE < head.0 {
            let events = tracker.skip(EPOCH, head);
            self.write(keys, conversation, &events);
            for socket in self.sockets.values_mut().filter(|socket| socket.is_in) {
                socket.observe(conversation, head);
            }
        } else {
            let item = |seq: Seq| Item {
                seq,
                at: store.made_at(conversation, seq),
                event: seq,
            };
            let events = tracker.fill(EPOCH, answer.into_iter().map(item).collect());
            self.write(keys, conversation, &events);
        }
        let tracker = self.trackers.get(&conversation).unwrap();
        if tracker.missing().is_some() {
            self.repairs.push((conversation, None));
        }
    }

    /// Makes the socket of a session of its own, and returns its pid.
    pub(crate) fn begin(&mut self, keys: &Keys, number: u64, opened: &Opened) -> Option<String> {
        let beginning = session::beginning(opened, keys.now)?;
        let places = session::first_places(opened, Room::Heard);
        let socket = Socket::new(places, Some(beginning.tag));
        self.sockets.insert(number, socket);
        Some(keys.key.pid((&keys.app, &keys.user), &beginning))
    }
}
