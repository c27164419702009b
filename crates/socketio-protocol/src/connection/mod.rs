//! One connection, from handshake to close, as a state machine: requests, messages and the time
//! go in, [`Effect`]s come out. It opens no socket, reads no clock, and holds no queue: what is
//! sent is an effect, and when it is written is the caller's affair.
//!
//! The file `polling` holds what HTTP requests may do and the upgrade to a WebSocket, `namespaces`
//! what Socket.IO adds to Engine.IO.

mod heartbeat;
mod namespaces;
mod plain_namespace;
mod polling;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use self::{
    heartbeat::{Beat, Heartbeat},
    namespaces::Namespace,
    polling::{Get, Post, Probe},
};
pub use self::{namespaces::NamespaceId, polling::PollAnswer};
use crate::{
    CloseReason, Frame, ProtocolError, Reassembly,
    engine::{self, OpenPacket, Transport},
    packet::EventArgs,
    plain,
};

/// Time that a client of the plain protocol has to bring its token.
const AUTH_TIMEOUT: Duration = Duration::from_secs(10);

/// What all connections of a server have in common.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time between a pong, or the handshake, and the next ping.
    pub ping_interval: Duration,
    /// Time the client has for its pong.
    pub ping_timeout: Duration,
    /// Time the client has until it is in a namespace.
    pub connect_timeout: Duration,
    /// Time the client has to complete an upgrade.
    pub upgrade_timeout: Duration,
    /// The most bytes of a request body, of a message, and of the attachments of one packet.
    pub max_payload: usize,
    /// What is spoken above Engine.IO.
    pub layer: Layer,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(45),
            upgrade_timeout: Duration::from_secs(10),
            max_payload: 1_000_000,
            layer: Layer::SocketIo,
        }
    }
}

/// What is spoken above Engine.IO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Socket.IO.
    SocketIo,
    /// Nothing: messages are handed on as they are.
    EngineIo,
    /// Neither this nor Engine.IO: [`plain`] messages over a WebSocket.
    Plain,
}

/// What the caller has to do.
#[derive(Debug)]
pub enum Effect<'a> {
    /// Queue the frame for the client, behind what is queued.
    Send(Frame),
    /// The client asks for a namespace: [`Connection::accept`] or [`Connection::refuse`] it.
    Connect {
        /// Names this stay of the client in the namespace.
        id: NamespaceId,
        /// The namespace, which need not exist.
        namespace: Arc<str>,
        /// The client's credentials, a JSON object.
        auth: Option<&'a RawValue>,
    },
    /// An event. It may come before its namespace was accepted; order is kept.
    Event {
        /// The stay it belongs to.
        id: NamespaceId,
        /// The name and the arguments.
        event: EventArgs<'a>,
        /// What an answer has to name, if one is wanted.
        ack_id: Option<u64>,
        /// The binary messages that placeholders in the arguments refer to.
        attachments: Vec<Bytes>,
    },
    /// The client left a namespace.
    Left(NamespaceId),
    /// A message, where there is no Socket.IO; the frame is the same message on its way back.
    Message(Frame),
    /// Write the answer to the probe to the WebSocket that sent it, past the queue.
    AnswerProbe,
    /// Close the WebSocket that is being probed. The session goes on without it.
    DropProbe,
    /// What is queued goes to the WebSocket that was probed, from here on.
    Upgraded,
    /// The connection is over. Nothing follows.
    Closed(CloseReason),
}

/// Where the effects of one call go.
pub type Sink<'s> = &'s mut dyn FnMut(Effect<'_>);

/// The state of one connection.
///
/// After [`Effect::Closed`] it has no more effects; requests are refused.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    transport: Transport,
    get: Get,
    post: Post,
    probe: Probe,
    heartbeat: Heartbeat,
    /// When a client that is in no namespace yet is given up.
    connect_by: Option<Instant>,
    namespaces: SmallVec<[Namespace; 1]>,
    last_id: NamespaceId,
    /// Messages that were none, where the protocol is plain.
    n_bad: u8,
    reassembly: Option<Box<Reassembly>>,
    closed: Option<CloseReason>,
}

impl Connection {
    /// Begins a connection, and returns the packet that tells the client of it under the name
    /// `sid`. Over polling that packet is the answer to the request; over a WebSocket, the first
    /// message.
    #[must_use]
    pub fn open(
        config: Arc<Config>,
        transport: Transport,
        sid: String,
        now: Instant,
    ) -> (Self, Frame) {
        let open = OpenPacket {
            sid,
            upgrades: match transport {
                Transport::Polling => vec![Transport::Websocket],
                Transport::Websocket => Vec::new(),
            },
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            max_payload: config.max_payload as u64,
        };
        let connection = Self {
            transport,
            get: Get::Idle,
            post: Post::Idle,
            probe: Probe::None,
            heartbeat: Heartbeat::new(now + config.ping_interval),
            connect_by: match config.layer {
                Layer::SocketIo => Some(now + config.connect_timeout),
                Layer::EngineIo => None,
                Layer::Plain => Some(now + config.connect_timeout.min(AUTH_TIMEOUT)),
            },
            n_bad: 0,
            namespaces: SmallVec::new(),
            last_id: NamespaceId::NONE,
            reassembly: None,
            closed: None,
            config,
        };
        let packet = engine::Packet::Open(&open.to_json());
        (connection, Frame::from(&packet))
    }

    /// Returns why the connection is over, if it is.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Returns the transport that carries what is queued.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns when [`tick`](Self::tick) is due. A call before that does nothing.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        [self.connect_by, self.probe.complete_by()]
            .into_iter()
            .flatten()
            .fold(self.heartbeat.due(), Instant::min)
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Instant, sink: Sink<'_>) {
        if self.closed.is_some() {
            return;
        }
        if self.probe.complete_by().is_some_and(|due| due <= now) {
            self.probe = Probe::None;
            sink(Effect::DropProbe);
        }
        if self.connect_by.is_some_and(|due| due <= now) {
            return self.close(CloseReason::ForcedServerClose, sink);
        }
        match self.heartbeat.tick(now, &self.config) {
            Beat::Wait => {}
            Beat::Ping if self.is_plain() => sink(Effect::Send(plain::ping())),
            Beat::Ping => sink(Effect::Send(Frame::from(&engine::Packet::Ping("")))),
            Beat::Dead => self.close(CloseReason::PingTimeout, sink),
        }
    }

    /// Takes a text message from the WebSocket that carries the connection.
    pub fn text(&mut self, text: &str, now: Instant, sink: Sink<'_>) {
        if self.is_plain() {
            return self.plain_text(text, sink);
        }
        let outcome = engine::Packet::parse_text(text)
            .map_err(ProtocolError::from)
            .and_then(|packet| self.packet(&packet, now, sink));
        self.close_on_error(outcome, sink);
    }

    /// Takes a binary message from the WebSocket that carries the connection.
    pub fn binary(&mut self, data: &[u8], now: Instant, sink: Sink<'_>) {
        if self.is_plain() {
            return self.plain_text("", sink);
        }
        let outcome = self.packet(&engine::Packet::parse_binary(data), now, sink);
        self.close_on_error(outcome, sink);
    }

    /// Takes a pong of the WebSocket protocol, which answers a ping of a plain connection.
    pub fn pong(&mut self, now: Instant) {
        if self.is_plain() {
            self.heartbeat.pong(now, &self.config);
        }
    }

    /// Tells whether what is sent has to be [plain](Frame::to_plain).
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.config.layer == Layer::Plain
    }

    /// Ends the connection. Its namespaces are left without a further effect.
    pub fn close(&mut self, reason: CloseReason, sink: Sink<'_>) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        self.namespaces = SmallVec::new();
        self.reassembly = None;
        if self.probe.end() {
            sink(Effect::DropProbe);
        }
        sink(Effect::Closed(reason));
    }

    /// Closes the connection on a protocol error.
    pub fn fail(&mut self, error: ProtocolError, sink: Sink<'_>) {
        self.close(error.close_reason(), sink);
    }

    fn close_on_error(&mut self, outcome: Result<(), ProtocolError>, sink: Sink<'_>) {
        if let Err(error) = outcome {
            self.fail(error, sink);
        }
    }

    /// Takes a packet, whatever brought it.
    fn packet(
        &mut self,
        packet: &engine::Packet<'_>,
        now: Instant,
        sink: Sink<'_>,
    ) -> Result<(), ProtocolError> {
        if self.closed.is_some() {
            return Ok(());
        }
        match (packet, self.config.layer) {
            (engine::Packet::Message(text), Layer::SocketIo) => self.socketio_text(text, sink)?,
            (engine::Packet::Binary(data), Layer::SocketIo) => self.socketio_binary(data, sink)?,
            (
                engine::Packet::Message(_) | engine::Packet::Binary(_),
                Layer::EngineIo | Layer::Plain,
            ) => {
                sink(Effect::Message(Frame::from(packet)));
            }
            (engine::Packet::Pong(_), _) => self.heartbeat.pong(now, &self.config),
            (engine::Packet::Close, _) => self.close(CloseReason::TransportClose, sink),
            // Only the server pings; a client of the version before would.
            (engine::Packet::Ping(_), _) => {
                return Err(engine::PacketError::UnknownType.into());
            }
            (engine::Packet::Open(_) | engine::Packet::Upgrade | engine::Packet::Noop, _) => {}
        }
        Ok(())
    }
}
