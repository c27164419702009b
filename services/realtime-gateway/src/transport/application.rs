//! What the transports need of the application above them. Nothing here knows of chat.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::value::RawValue;
use socketio_protocol::{Frame, engine::Transport};

use super::{Socket, SocketId};

/// The program that the sockets belong to.
///
/// One connection is served by at most one call at a time, in the order in which the client sent
/// things: a call of [`connect`](Self::connect) or [`events`](Self::events) that waits holds back
/// what follows on the same connection, and nothing else.
pub trait Application: Send + Sync + 'static {
    /// What the application remembers of one namespace of one connection.
    type Session: Send + Sync + 'static;

    /// Whether clients may ask for `namespace` (`/`, `/chat`).
    fn has_namespace(&self, namespace: &str) -> bool;

    /// Whether a page of `origin` may use this server; `host` is the `Host` header.
    ///
    /// Asked for every request that carries an `Origin`.
    fn origin_allowed(&self, origin: &str, host: Option<&str>) -> bool;

    /// Counts a client that connects from `address`, which is no trusted proxy's.
    ///
    /// # Errors
    ///
    /// Returns in how much time one may; the client is turned away.
    fn admit(&self, address: IpAddr) -> Result<(), Duration> {
        let _ = address;
        Ok(())
    }

    /// Decides on a CONNECT to a namespace that exists.
    ///
    /// When the connection is gone before the answer, the session is dropped and neither
    /// [`connected`](Self::connected) nor [`disconnected`](Self::disconnected) is called for it.
    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Accepted<Self::Session>, Refused>> + Send;

    /// Whether the client of a CONNECT may say later who it is. It is let in then without
    /// [`connect`](Self::connect), as a stranger: there is no socket, and what it sends goes to
    /// [`identify`](Self::identify).
    fn takes_strangers(&self, request: &ConnectRequest) -> bool {
        let _ = request;
        false
    }

    /// Decides on an event of a stranger: who it is, or what it is told instead. If it is let in, the
    /// event is the first of its socket.
    fn identify(
        &self,
        request: &ConnectRequest,
        event: &Event,
    ) -> impl Future<Output = Result<Self::Session, Vec<Frame>>> + Send {
        let _ = (request, event);
        async { Err(Vec::new()) }
    }

    /// Hears that the answer to CONNECT is queued: events may be sent from here on.
    fn connected(&self, socket: &Socket<Self::Session>);

    /// Handles what one connection sent, in order: all that arrived while the last call ran.
    fn events(&self, batch: Vec<(Socket<Self::Session>, Event)>)
    -> impl Future<Output = ()> + Send;

    /// Hears that a socket is gone. Called exactly once after [`connected`](Self::connected), when
    /// all events that came before have been handled.
    fn disconnected(&self, socket: &Socket<Self::Session>, reason: Reason);

    /// Whether a socket is better left alone for the moment: when all are sent away, those are last.
    fn is_busy(&self, socket: &Socket<Self::Session>) -> bool {
        let _ = socket;
        false
    }
}

/// A client that asks for a namespace.
#[derive(Debug)]
pub struct ConnectRequest {
    /// The [`Socket::number`] that an accepted socket will have.
    pub socket_number: u64,
    /// The namespace, one that [`Application::has_namespace`] knows.
    pub namespace: Arc<str>,
    /// The payload of the CONNECT packet, a JSON object.
    pub auth: Option<Box<RawValue>>,
    /// What the HTTP request said.
    pub handshake: Arc<Handshake>,
}

/// What is kept of the HTTP request that opened a connection.
pub struct Handshake {
    /// The `Authorization` header.
    pub authorization: Option<Box<str>>,
    /// The cookie `access_token`.
    pub access_token: Option<Box<str>>,
    /// The `Origin` header.
    pub origin: Option<Box<str>>,
    /// The `Host` header.
    pub host: Option<Box<str>>,
    /// The client's address, as far as trusted proxies tell it.
    pub address: IpAddr,
    /// The transport the connection began with.
    pub transport: Transport,
    /// Whether the request named the version before the transport, as the clients in JavaScript do
    /// and those in Python do not.
    pub names_version_first: bool,
}

impl Handshake {
    /// Tells whether the request itself brought something like a token.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        self.authorization.is_some() || self.access_token.is_some()
    }
}

impl std::fmt::Debug for Handshake {
    /// Leaves out the credentials and the address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// The answer to a CONNECT that is welcome.
#[derive(Debug)]
pub struct Accepted<S> {
    /// What the application remembers of the socket.
    pub session: S,
    /// The `socket.id` that the client is told.
    pub id: SocketId,
    /// The private id with which the client may recover; `None` leaves the key out.
    pub pid: Option<String>,
}

/// The answer to a CONNECT that is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The client's `err.message`.
    pub message: String,
    /// The client's `err.data`.
    pub data: Option<serde_json::Value>,
    /// What becomes of the connection.
    pub then: AfterRefusal,
}

/// What becomes of a connection when one of its namespaces is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRefusal {
    /// It stays, for another attempt or another namespace.
    KeepTransport,
    /// It is closed as soon as the refusal is written.
    CloseTransport,
}

/// An event that a client sent.
#[derive(Debug)]
pub struct Event {
    /// The name. Never one of the reserved names.
    pub name: Box<str>,
    /// The arguments after the name.
    pub args: Args,
    /// The binary arguments, to which placeholders in `args` refer.
    pub attachments: Vec<Bytes>,
    /// What [`Socket::ack`] takes, when the client asked for an acknowledgement.
    pub ack: Option<u64>,
}

/// The arguments of an event: a JSON array, well-formed but not parsed.
#[derive(Debug, Clone)]
pub struct Args(Box<RawValue>);

impl Args {
    /// Wraps the text of a JSON array.
    #[must_use]
    pub const fn new(array: Box<RawValue>) -> Self {
        Self(array)
    }

    /// Returns the first argument.
    #[must_use]
    pub fn first(&self) -> Option<&RawValue> {
        self.to_vec().first().copied()
    }

    /// Returns all arguments.
    #[must_use]
    pub fn to_vec(&self) -> Vec<&RawValue> {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// Returns the text of the array, brackets included.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

/// Why a socket is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client left the namespace.
    ClientDisconnect,
    /// The application left it with [`Socket::disconnect`].
    ServerDisconnect,
    /// The client closed the connection, or the network did.
    TransportClosed,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client broke the protocol.
    ProtocolError,
    /// The client read too slowly: over the byte limit, or nothing for too long.
    SlowConsumer,
    /// The client sent more than it may.
    Flood,
    /// The application closed the transport.
    Kicked,
    /// The client has a newer connection.
    Superseded,
    /// This replica is being shut down; the client will find another.
    Draining,
    /// A handler panicked.
    InternalError,
}

/// What may be left out when a client does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Never dropped: when there is no room left, the connection is closed instead.
    Message,
    /// Left out when the client is behind: whoever sends it knows where to get it again, and waits
    /// for [`Socket::drained`].
    Refillable,
    /// Dropped first: typing, presence.
    Ephemeral,
}

/// How far a connection is with what was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The transport took all of it.
    Taken,
    /// Some of it waits for the client.
    Waiting,
    /// The connection ended before the transport took all of it.
    Cut,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// It waits for the client, after all that was queued before.
    Queued,
    /// It was [`Class::Ephemeral`] and the client is behind.
    Dropped,
    /// It was [`Class::Refillable`] and the client is behind.
    Full,
    /// The socket is gone, or has just been closed for lack of room.
    Closed,
}
