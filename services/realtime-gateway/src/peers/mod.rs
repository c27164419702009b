//! Streams of bytes between the gateways of a deployment, for what a client sends to one gateway and
//! belongs to another. Knows neither what is in them nor what carries them: `nats/peers.rs` does.
//!
//! A stream is like a TCP connection: ordered, with bounded windows, and whole or over. It is built
//! on messages of which any may be lost, and repairs nothing. Segments carry positions; one that is
//! missing, or not confirmed within ten seconds, ends the stream at both ends. A gateway that is gone
//! is noticed by what it was sent: the broker says that nobody listens. So that this does not take
//! long, gateways that know each other send beats.

mod flow;
mod stream;
mod traffic;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Instant,
};

use bytes::Bytes;
use chat_proto::subject;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::flow::Flow;
pub use self::{
    flow::Failure,
    stream::{Fate, PeerStream},
    traffic::TICK,
};

/// This gateway among the others, and its streams.
pub struct Peers {
    name: Arc<str>,
    max_streams: usize,
    is_linked: AtomicBool,
    table: Mutex<Table>,
    queue: Mutex<Queue>,
    queued: Notify,
    opened: Mutex<VecDeque<PeerStream>>,
    was_opened: Notify,
}

#[derive(Default)]
struct Table {
    peers: HashMap<Arc<str>, Peer>,
    n_streams: usize,
    /// How many streams were opened from here, to whomever.
    n_opened: u64,
    n_ticks: u8,
}

/// Another gateway.
#[derive(Default)]
struct Peer {
    streams: HashMap<u64, Arc<Cell>>,
    /// The last stream that was opened there; their numbers grow.
    last_opened: u64,
    /// Beats in a row that found nobody, and whether the last one did.
    n_bounces: u8,
    has_bounced: bool,
}

/// One end of a stream.
struct Cell {
    peer: Arc<str>,
    number: u64,
    state: Mutex<CellState>,
}

struct CellState {
    flow: Flow,
    reader: Option<Waker>,
    writer: Option<Waker>,
    is_queued: bool,
}

/// What waits to be sent. A stream is in it once at most.
#[derive(Default)]
struct Queue {
    streams: VecDeque<Arc<Cell>>,
    resets: VecDeque<(Arc<str>, u64)>,
    beats: Vec<Arc<str>>,
}

/// A message for another gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The other gateway's name.
    pub to: Arc<str>,
    /// The stream it is a piece of; 0 for a beat.
    pub stream: u64,
    /// A [`Segment`](chat_proto::v1::Segment); empty for a beat.
    pub payload: Bytes,
}

impl Peers {
    /// Makes the gateway called `name`, which no other gateway ever was, with at most `max_streams`.
    #[must_use]
    pub fn new(name: &str, max_streams: usize) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            max_streams,
            is_linked: AtomicBool::new(false),
            table: Mutex::default(),
            queue: Mutex::default(),
            queued: Notify::new(),
            opened: Mutex::default(),
            was_opened: Notify::new(),
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hears that somebody carries its messages from here on.
    pub fn link(&self) {
        self.is_linked.store(true, Ordering::Relaxed);
    }

    /// Opens a stream to the gateway called `peer`.
    ///
    /// # Errors
    ///
    /// Returns [`Failure::Unreachable`] when there can be no such gateway, or there are too many
    /// streams. That nobody is there shows later, when the stream is used.
    pub fn open(self: &Arc<Self>, peer: &str) -> Result<PeerStream, Failure> {
        if !self.is_linked.load(Ordering::Relaxed) || *peer == *self.name {
            return Err(Failure::Unreachable);
        }
        let mut table = self.table.lock();
        if self.max_streams <= table.n_streams || !subject::is_gateway_name(peer) {
            return Err(Failure::Unreachable);
        }
        table.n_opened += 1;
        let n_opened = table.n_opened;
        let (name, _) = table.enter(peer);
        // Of two gateways one has the odd numbers and the other one the even.
        let number = n_opened * 2 + u64::from(self.name < name);
        let cell = table.insert(name, number, Flow::opening());
        // Before the next one can be opened: they have to be told of in their order.
        self.queue(&cell, &mut cell.state.lock());
        Ok(PeerStream::new(cell, Arc::clone(self)))
    }

    /// Waits for a stream that another gateway has opened.
    pub async fn accept(&self) -> PeerStream {
        loop {
            if let Some(stream) = self.opened.lock().pop_front() {
                return stream;
            }
            self.was_opened.notified().await;
        }
    }

    /// Waits until no stream is open.
    pub async fn settled(&self) {
        while self.table.lock().n_streams != 0 {
            tokio::time::sleep(TICK).await;
        }
    }

    /// Waits for a message to send. Messages go out in the order in which they are returned.
    pub async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.try_next() {
                return outgoing;
            }
            self.queued.notified().await;
        }
    }

    /// Changes one end, wakes whoever waits for that, and sees to what is to be sent.
    fn change<R>(&self, cell: &Arc<Cell>, change: impl FnOnce(&mut CellState) -> R) -> R {
        let mut state = cell.state.lock();
        let result = change(&mut state);
        self.queue(cell, &mut state);
        let is_over = state.flow.is_over();
        let has_failed = state.flow.failure().is_some();
        let can_read = !state.flow.arrived().is_empty() || state.flow.is_at_end();
        let can_write = state.flow.room() > 0;
        let wakers = [
            state.reader.take_if(|_| has_failed || can_read),
            state.writer.take_if(|_| has_failed || can_write),
        ];
        drop(state);

        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
        if is_over {
            self.table.lock().remove(cell);
        }
        result
    }

    /// Queues an end that has something to send.
    fn queue(&self, cell: &Arc<Cell>, state: &mut CellState) {
        if state.flow.is_due() && !state.is_queued {
            state.is_queued = true;
            self.queue.lock().streams.push_back(Arc::clone(cell));
            self.queued.notify_one();
        }
    }
}

impl Table {
    /// Returns another gateway, which may be a new one.
    fn enter(&mut self, name: &str) -> (Arc<str>, &mut Peer) {
        let known = self.peers.get_key_value(name);
        let name = known.map_or_else(|| name.into(), |(name, _)| Arc::clone(name));
        let entry = self.peers.entry(Arc::clone(&name)).or_default();
        (name, entry)
    }

    fn find(&self, peer: &str, number: u64) -> Option<Arc<Cell>> {
        self.peers.get(peer)?.streams.get(&number).cloned()
    }

    fn insert(&mut self, peer: Arc<str>, number: u64, flow: Flow) -> Arc<Cell> {
        let state = CellState {
            flow,
            reader: None,
            writer: None,
            is_queued: false,
        };
        let cell = Arc::new(Cell {
            peer: Arc::clone(&peer),
            number,
            state: Mutex::new(state),
        });
        self.n_streams += 1;
        let entry = self.peers.entry(peer).or_default();
        entry.streams.insert(number, Arc::clone(&cell));
        cell
    }

    fn remove(&mut self, cell: &Arc<Cell>) {
        if let Some(peer) = self.peers.get_mut(&cell.peer)
            && peer.streams.remove(&cell.number).is_some()
        {
            self.n_streams -= 1;
        }
    }
}

/// Returns the time. Tests may move the clock.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
