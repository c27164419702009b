//! What waits for one client. Bounded in bytes; knows neither sockets nor time.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use socketio_protocol::{Frame, engine::payload};
use tokio::io::AsyncWrite;

use super::{Class, Sent};

/// The most packets of one polling answer; python-engineio drops a session beyond.
const MAX_POLL_PACKETS: usize = 16;
/// The most frames of one write.
const MAX_SLICES: usize = 64;
/// What a queued frame costs beside its bytes.
const OVERHEAD: usize = 64;

/// How much may wait for one client.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Bytes beyond which [`Class::Ephemeral`] frames are left out.
    pub soft: usize,
    /// Bytes beyond which the connection is closed.
    pub hard: usize,
}

/// The client is so far behind that its connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

/// A queue of frames, without memory of its own while it is empty.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<(Frame, Class)>,
    /// What the frames cost.
    cost: usize,
    n_ephemeral: usize,
    /// Bytes of the first frame that are written.
    n_written: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether something else may be written without tearing a frame apart.
    pub(super) const fn is_at_boundary(&self) -> bool {
        self.n_written == 0
    }

    /// Queues frames that belong together.
    pub(super) fn push(
        &mut self,
        frames: &[Frame],
        class: Class,
        limits: OutboxLimits,
    ) -> Result<Sent, Overflow> {
        let added = frames.iter().map(cost).sum::<usize>();
        if self.cost + added > limits.soft {
            if class == Class::Ephemeral {
                return Ok(Sent::Dropped);
            }
            self.drop_ephemeral();
        }
        if self.cost + added > limits.hard {
            return Err(Overflow);
        }
        self.cost += added;
        if class == Class::Ephemeral {
            self.n_ephemeral += frames.len();
        }
        self.frames
            .extend(frames.iter().map(|frame| (frame.clone(), class)));
        Ok(Sent::Queued)
    }

    /// Takes what one polling answer carries, and `last` behind it.
    pub(super) fn take_payload(&mut self, last: Option<&Frame>) -> Bytes {
        let n = self
            .frames
            .len()
            .min(MAX_POLL_PACKETS - usize::from(last.is_some()));
        let body = payload::encode(
            self.frames
                .iter()
                .take(n)
                .map(|(frame, _)| frame)
                .chain(last),
        );
        for _ in 0..n {
            self.pop();
        }
        body
    }

    /// Writes frames until all are written, or `stream` takes no more.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut skip = self.n_written;
            for (slice, (frame, _)) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(frame.ws().get(skip..).unwrap_or_default());
                skip = 0;
            }
            let slices = slices.get(..self.frames.len()).unwrap_or(&slices);
            match ready!(Pin::new(&mut *stream).poll_write_vectored(cx, slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns a value that changes with every byte written.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.frames.len(), self.n_written)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn advance(&mut self, n: usize) {
        self.n_written += n;
        while let Some((frame, _)) = self.frames.front() {
            let len = frame.ws().len();
            if self.n_written < len {
                break;
            }
            self.n_written -= len;
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((frame, class)) = self.frames.pop_front() {
            self.cost -= cost(&frame);
            self.n_ephemeral -= usize::from(class == Class::Ephemeral);
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    fn drop_ephemeral(&mut self) {
        if self.n_ephemeral == 0 {
            return;
        }
        // The head may be half written.
        let mut is_torn = self.n_written > 0;
        self.frames.retain(|(_, class)| {
            let is_head = std::mem::replace(&mut is_torn, false);
            is_head || *class == Class::Message
        });
        self.cost = self.frames.iter().map(|(frame, _)| cost(frame)).sum();
        self.n_ephemeral = self
            .frames
            .iter()
            .filter(|(_, class)| *class == Class::Ephemeral)
            .count();
    }
}

fn cost(frame: &Frame) -> usize {
    frame.ws().len() + OVERHEAD
}
