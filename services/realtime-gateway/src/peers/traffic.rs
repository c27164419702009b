//! What gateways say to each other: segments, and beats between those that know each other.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_proto::{subject, v1};
use prost::Message as _;

use super::{Cell, Failure, Outgoing, Peers, flow::Flow, now, stream::PeerStream};

/// How often [`Peers::tick`] wants to be called.
pub const TICK: Duration = Duration::from_millis(250);
/// Ticks between two beats.
const TICKS_PER_BEAT: u8 = 8;
/// A gateway is gone when so many beats after each other found nobody: one alone may be about to
/// reconnect to its broker.
const BOUNCES: u8 = 2;
/// How many streams of others may wait to be accepted, and resets to be sent.
const BACKLOG: usize = 1_024;

impl Peers {
    /// Hears a [`v1::Segment`] that another gateway has sent.
    pub fn hear(self: &Arc<Self>, payload: Bytes) {
        let Ok(mut segment) = v1::Segment::decode(payload) else {
            return tracing::debug!("a segment that means nothing");
        };
        let from = mem::take(&mut segment.from);
        if !subject::is_gateway_name(&from) || *from == *self.name() {
            return;
        }
        match self.end_of(&from, &segment) {
            Ok(cell) => self.change(&cell, |state| state.flow.hear(&segment, now())),
            Err(is_answered) if is_answered && !segment.resets => {
                self.reset(from.into(), segment.stream);
            }
            Err(_) => {}
        }
    }

    /// Returns the end that a segment is for, be it a new one; else whether the other end has to
    /// hear that there is none.
    fn end_of(self: &Arc<Self>, from: &str, segment: &v1::Segment) -> Result<Arc<Cell>, bool> {
        let mut table = self.table.lock();
        if let Some(cell) = table.find(from, segment.stream) {
            return Ok(cell);
        }
        if !segment.opens || segment.resets {
            return Err(true);
        }
        if self.max_streams <= table.n_streams {
            return Err(true);
        }
        let (name, peer) = table.enter(from);
        if segment.stream <= peer.last_opened {
            return Err(false); // It has been here before.
        }
        peer.last_opened = segment.stream;
        let mut opened = self.opened.lock();
        if BACKLOG <= opened.len() {
            return Err(true);
        }
        let cell = table.insert(name, segment.stream, Flow::opened());
        opened.push_back(PeerStream::new(Arc::clone(&cell), Arc::clone(self)));
        self.was_opened.notify_one();
        Ok(cell)
    }

    /// Hears that a message of [`next`](Self::next) found nobody at the gateway called `peer`.
    pub fn undelivered(&self, peer: &str, stream: u64) {
        let mut table = self.table.lock();
        let failed = if stream == 0 {
            let Some(entry) = table.peers.get_mut(peer) else {
                return;
            };
            entry.has_bounced = true;
            entry.n_bounces += 1;
            if entry.n_bounces < BOUNCES {
                return;
            }
            let gone = table.peers.remove(peer).unwrap_or_default().streams;
            table.n_streams -= gone.len();
            gone.into_values().collect()
        } else {
            Vec::from_iter(table.find(peer, stream))
        };
        drop(table);
        for cell in failed {
            self.change(&cell, |state| state.flow.failed(Failure::Unreachable));
        }
    }

    /// Does what is due. To be called every [`TICK`].
    pub fn tick(&self) {
        let mut table = self.table.lock();
        table.n_ticks = (table.n_ticks + 1) % TICKS_PER_BEAT;
        if table.n_ticks == 0 {
            let mut queue = self.queue.lock();
            queue.beats.clear();
            for (name, peer) in &mut table.peers {
                if !mem::take(&mut peer.has_bounced) {
                    peer.n_bounces = 0;
                }
                queue.beats.push(Arc::clone(name));
            }
            self.queued.notify_one();
        }
        let streams = table.peers.values().flat_map(|peer| peer.streams.values());
        let cells: Vec<_> = streams.cloned().collect();
        drop(table);
        let now = now();
        for cell in cells {
            self.change(&cell, |state| state.flow.tick(now));
        }
    }

    /// Takes the next message to send, if there is one.
    pub(super) fn try_next(&self) -> Option<Outgoing> {
        loop {
            let mut queue = self.queue.lock();
            if let Some((to, stream)) = queue.resets.pop_front() {
                let segment = v1::Segment {
                    resets: true,
                    ..v1::Segment::default()
                };
                return Some(self.outgoing(to, stream, segment));
            }
            if let Some(to) = queue.beats.pop() {
                let (stream, payload) = (0, Bytes::new());
                return Some(Outgoing {
                    to,
                    stream,
                    payload,
                });
            }
            let cell = queue.streams.pop_front()?;
            drop(queue);
            if let Some(segment) = self.segment(&cell, now()) {
                return Some(self.outgoing(Arc::clone(&cell.peer), cell.number, segment));
            }
        }
    }

    /// Takes the next segment of one end, which is queued again if it has more.
    fn segment(&self, cell: &Arc<Cell>, now: Instant) -> Option<v1::Segment> {
        self.change(cell, |state| {
            state.is_queued = false;
            state.flow.next(now)
        })
    }

    fn outgoing(&self, to: Arc<str>, stream: u64, mut segment: v1::Segment) -> Outgoing {
        self.name().clone_into(&mut segment.from);
        segment.stream = stream;
        Outgoing {
            to,
            stream,
            payload: segment.encode_to_vec().into(),
        }
    }

    fn reset(&self, to: Arc<str>, stream: u64) {
        let mut queue = self.queue.lock();
        if queue.resets.len() < BACKLOG {
            queue.resets.push_back((to, stream));
            self.queued.notify_one();
        }
    }
}
