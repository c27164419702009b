//! What HTTP requests may do, and the change from polling to a WebSocket.
//!
//! One GET waits for packets and one POST brings some, at most; a second of either ends the
//! connection, because nobody could say any more what the client has seen.

use std::time::Instant;

use super::{Connection, Effect, Sink};
use crate::{
    CloseReason, ProtocolError,
    engine::{self, QueryError, Transport, payload},
};

/// The most packets of one request body.
const MAX_PACKETS: usize = 1_024;

/// The request that waits for packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Get {
    Idle,
    Waiting,
}

/// The request that brings packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    Idle,
    Reading,
}

/// The WebSocket that a polling client wants to change to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    None,
    /// It is open, and must be through by the instant.
    Open(Instant),
    /// It answered. Polling requests have to end, so that nothing overtakes anything.
    Answered(Instant),
}

/// How a waiting GET is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollAnswer {
    /// With what is queued, as much as fits.
    Queued,
    /// With a noop packet, and nothing that is queued.
    Noop,
    /// With what is queued, as much as fits, and a close packet.
    Close,
}

impl Probe {
    pub(super) const fn complete_by(self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::Open(due) => Some(due),
            Self::Answered(due) => Some(due),
        }
    }

    /// Forgets the probe, and returns whether there was one.
    pub(super) fn end(&mut self) -> bool {
        std::mem::replace(self, Self::None) != Self::None
    }
}

impl Connection {
    /// Takes a GET. It waits until [`answer_get`](Self::answer_get) has an answer. What is due is
    /// done first: a client that comes too late finds no connection.
    ///
    /// # Errors
    ///
    /// Returns [`QueryError::BadRequest`] when another GET waits, which ends the connection, or
    /// the connection has moved to a WebSocket; [`QueryError::UnknownSid`] when it is over.
    pub fn begin_get(&mut self, now: Instant, sink: Sink<'_>) -> Result<(), QueryError> {
        self.tick(now, sink);
        self.check_polling()?;
        if self.get == Get::Waiting {
            self.close(CloseReason::TransportError, sink);
            return Err(QueryError::BadRequest);
        }
        self.get = Get::Waiting;
        Ok(())
    }

    /// Hears that the client gave the waiting GET up. What it has seen is unknown: the connection
    /// is over.
    pub fn abort_get(&mut self, sink: Sink<'_>) {
        self.get = Get::Idle;
        if self.transport == Transport::Polling {
            self.close(CloseReason::TransportClose, sink);
        }
    }

    /// Returns the answer to the waiting GET, which then waits no longer; `None` while it has to
    /// wait. `has_queued` tells whether there is anything to send.
    pub fn answer_get(&mut self, has_queued: bool) -> Option<PollAnswer> {
        if self.get == Get::Idle {
            return None;
        }
        let answer = match (self.closed, self.transport, self.probe) {
            // The client itself said goodbye.
            (Some(CloseReason::TransportClose), _, _) => PollAnswer::Noop,
            (Some(_), _, _) => PollAnswer::Close,
            (None, Transport::Websocket, _) => PollAnswer::Noop,
            (None, Transport::Polling, _) if has_queued => PollAnswer::Queued,
            (None, Transport::Polling, Probe::Answered(_)) => PollAnswer::Noop,
            (None, Transport::Polling, Probe::None | Probe::Open(_)) => return None,
        };
        self.get = Get::Idle;
        Some(answer)
    }

    /// Takes the head of a POST. [`end_post`](Self::end_post) or [`abort_post`](Self::abort_post)
    /// follows.
    ///
    /// # Errors
    ///
    /// As [`begin_get`](Self::begin_get).
    pub fn begin_post(&mut self, now: Instant, sink: Sink<'_>) -> Result<(), QueryError> {
        self.tick(now, sink);
        self.check_polling()?;
        if self.post == Post::Reading {
            self.close(CloseReason::TransportError, sink);
            return Err(QueryError::BadRequest);
        }
        self.post = Post::Reading;
        Ok(())
    }

    /// Takes the body of the POST.
    ///
    /// # Errors
    ///
    /// Returns [`QueryError::BadRequest`] when the body breaks the protocol; the connection is
    /// over then.
    pub fn end_post(
        &mut self,
        body: &[u8],
        now: Instant,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        self.post = Post::Idle;
        let outcome = payload::decode(body, MAX_PACKETS)
            .map_err(ProtocolError::from)
            .and_then(|packets| {
                packets
                    .iter()
                    .try_for_each(|packet| self.packet(packet, now, sink))
            });
        outcome.map_err(|error| {
            self.fail(error, sink);
            QueryError::BadRequest
        })
    }

    /// Hears that the body of the POST did not arrive, or is refused. The connection is over.
    pub fn abort_post(&mut self, sink: Sink<'_>) {
        self.post = Post::Idle;
        self.close(CloseReason::TransportError, sink);
    }

    /// Takes a WebSocket that the client wants to change to. Its messages go to
    /// [`probe`](Self::probe) until [`Effect::Upgraded`].
    ///
    /// # Errors
    ///
    /// Returns [`QueryError::BadRequest`] when the connection has a WebSocket already, be it a
    /// probing one; the connection goes on with that one.
    pub fn begin_upgrade(&mut self, now: Instant) -> Result<(), QueryError> {
        self.check_polling()?;
        if self.probe != Probe::None {
            return Err(QueryError::BadRequest);
        }
        self.probe = Probe::Open(now + self.config.upgrade_timeout);
        Ok(())
    }

    /// Takes a text message from the WebSocket that is being probed.
    pub fn probe(&mut self, text: &str, sink: Sink<'_>) {
        if self.closed.is_some() {
            return;
        }
        match (self.probe, engine::Packet::parse_text(text)) {
            (Probe::Open(due), Ok(engine::Packet::Ping("probe"))) => {
                self.probe = Probe::Answered(due);
                sink(Effect::AnswerProbe);
            }
            (Probe::Answered(_), Ok(engine::Packet::Upgrade)) => {
                self.probe = Probe::None;
                self.transport = Transport::Websocket;
                sink(Effect::Upgraded);
            }
            (Probe::None, _) => {}
            (Probe::Open(_) | Probe::Answered(_), _) => self.end_probe(sink),
        }
    }

    /// Hears that the WebSocket that is being probed is gone, or unfit. The connection goes on
    /// over polling.
    pub fn end_probe(&mut self, sink: Sink<'_>) {
        if self.probe.end() {
            sink(Effect::DropProbe);
        }
    }

    fn check_polling(&self) -> Result<(), QueryError> {
        match (self.closed, self.transport) {
            (Some(_), _) => Err(QueryError::UnknownSid),
            (None, Transport::Websocket) => Err(QueryError::BadRequest),
            (None, Transport::Polling) => Ok(()),
        }
    }
}
