//! The port that clients connect to: who is let in, who is there, and how all are sent away.

use std::{
    convert::Infallible,
    iter::repeat_with,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hashbrown::HashMap;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socketio_protocol::{connection as protocol, engine::QueryError};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Application, Config, connection::Connection, http, polling::Of, sid::SessionKey, stream::Stream,
};
use crate::{metrics::Metric, peers::PeerStream};

/// Bytes that TLS may hold for a client that does not read; the rest waits in its outbox.
const TLS_BUFFER: usize = 16 * 1024;

/// Parts of the table of connections, each with a lock of its own.
const N_SHARDS: usize = 16;

/// Serves clients of one [`Application`]. A clone is the same server.
pub struct Server<A: Application>(Arc<Shared<A>>);

/// What all connections share.
pub(super) struct Shared<A: Application> {
    pub(super) application: Arc<A>,
    pub(super) config: Config,
    paths: Vec<(String, Arc<protocol::Config>)>,
    connections: [Mutex<HashMap<SessionKey, Arc<Connection<A>>>>; N_SHARDS],
    n_connections: AtomicUsize,
    /// TCP connections that have not become a WebSocket.
    n_http: AtomicUsize,
    /// Clients of other gateways' sessions, by WebSocket; each ends with a permit.
    pub(super) n_tunnels: AtomicUsize,
    pub(super) tunnel_ends: Semaphore,
    last_number: AtomicU64,
    is_refusing: AtomicBool,
}

impl<A: Application> Server<A> {
    /// Creates a server that listens nowhere yet.
    #[must_use]
    pub fn new(config: Config, application: Arc<A>) -> Self {
        let path = |(path, layer): &(String, protocol::Layer)| {
            let config = protocol::Config {
                layer: *layer,
                ..config.protocol.clone()
            };
            (path.trim_end_matches('/').to_owned(), Arc::new(config))
        };
        Self(Arc::new(Shared {
            paths: config.paths.iter().map(path).collect(),
            application,
            config,
            connections: Default::default(),
            n_connections: AtomicUsize::new(0),
            n_http: AtomicUsize::new(0),
            n_tunnels: AtomicUsize::new(0),
            tunnel_ends: Semaphore::new(0),
            last_number: AtomicU64::new(0),
            is_refusing: AtomicBool::new(false),
        }))
    }

    /// Accepts clients, for as long as the future is polled. Those that were accepted are served
    /// by tasks of their own, which go on after it is dropped.
    pub async fn serve(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.0.accept(stream, peer),
                // Out of file descriptors, most likely: those in use come back.
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "no client accepted"
                    );
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves what other gateways pass on, for as long as the future is polled.
    pub async fn serve_peers(&self) {
        loop {
            let stream = self.0.config.peers.accept().await;
            self.0.accept_peer(stream);
        }
    }

    /// Sends all clients away so that they come back elsewhere, and returns when none is left.
    ///
    /// No connection is opened any more. At least `per_second` are closed, more when it would take
    /// longer than `within`; in no particular order, but the busy ones last, and each when what its
    /// client was heard to say has been handled.
    pub async fn drain(&self, per_second: u32, within: Duration) {
        /// Connections are drained this often, several at once.
        const STEPS_PER_SECOND: u32 = 20;

        self.0.is_refusing.store(true, Ordering::Relaxed);
        let (busy, idle): (Vec<_>, Vec<_>) = self.0.connections().partition(is_busy);
        let n_tunnels = self.0.n_tunnels.load(Ordering::Relaxed);
        let connections = idle.into_iter().chain(busy).map(Leaving::Connection);
        let tunnels = repeat_with(|| Leaving::Tunnel).take(n_tunnels);
        let all: Vec<_> = tunnels.chain(connections).collect();
        let n_steps = (within.as_secs() * u64::from(STEPS_PER_SECOND)).max(1);
        let n_per_step = (all.len() as u64)
            .div_ceil(n_steps)
            .max(per_second.div_ceil(STEPS_PER_SECOND).into())
            .max(1);
        let n_per_step = usize::try_from(n_per_step).unwrap_or(usize::MAX);

        let mut steps = interval(Duration::from_secs(1) / STEPS_PER_SECOND);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for step in all.chunks(n_per_step) {
            steps.tick().await;
            self.tell_left();
            for leaving in step {
                match leaving {
                    Leaving::Tunnel => self.0.tunnel_ends.add_permits(1),
                    Leaving::Connection(connection) => {
                        connection
                            .upgrade()
                            .inspect(|connection| connection.drain());
                    }
                }
            }
        }
        self.0.tunnel_ends.close();
        while self.n_connections() != 0 || self.0.n_tunnels.load(Ordering::Relaxed) != 0 {
            steps.tick().await;
            self.tell_left();
        }
    }

    fn tell_left(&self) {
        let left = u32::try_from(self.n_connections()).unwrap_or(u32::MAX);
        metrics::gauge!(Metric::Draining.name()).set(f64::from(left));
    }

    /// Returns how many connections are open, whatever their transport.
    #[must_use]
    pub fn n_connections(&self) -> usize {
        self.0.n_connections.load(Ordering::Relaxed)
    }
}

impl<A: Application> Clone for Server<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Application> Shared<A> {
    /// Serves the requests of `stream`, unless there are too many connections.
    fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(slot) = Slot::take(self) else {
            tracing::debug!("client turned away: too many connections");
            return;
        };
        tokio::spawn(async move {
            // A socket that cannot be set up is one that is gone.
            if let Some(stream) = slot.greet(stream).await
                && let (Err(error), _) = slot.serve(stream, peer.ip()).await
            {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "request not served"
                );
            }
        });
    }

    /// Serves the request that another gateway passes on over `stream`.
    fn accept_peer(self: &Arc<Self>, stream: PeerStream) {
        let Some(slot) = Slot::take(self) else {
            return;
        };
        tokio::spawn(async move {
            // What the address matters for was done when the session began.
            let nowhere = Ipv4Addr::UNSPECIFIED.into();
            let (served, answered) = slot.serve(Stream::Peer(stream), nowhere).await;
            // The other gateway ends the stream when it has the whole answer, and breaks it else.
            if served.is_err()
                && let Some(session) = answered
            {
                session.lost();
            }
        });
    }

    /// Returns how Engine.IO is spoken at `path`, if it is.
    pub(super) fn protocol(&self, path: &str) -> Option<&Arc<protocol::Config>> {
        let path = path.trim_end_matches('/');
        self.paths
            .iter()
            .find(|(prefix, _)| prefix == path)
            .map(|(_, config)| config)
    }

    /// Whether another connection may be opened.
    pub(super) fn is_open(&self) -> bool {
        !self.is_refusing.load(Ordering::Relaxed)
            && self.n_connections.load(Ordering::Relaxed) < self.config.max_connections
    }

    /// Returns where the session is that `sid` names.
    pub(super) fn find<'a>(&self, sid: &'a str) -> Result<Place<'a, A>, QueryError> {
        let (replica, key) = self
            .config
            .sid_key
            .open(sid)
            .ok_or(QueryError::UnknownSid)?;
        if replica != self.config.peers.name() {
            return Ok(Place::At(replica));
        }
        let here = self.shard(key).lock().get(&key).cloned();
        here.map(Place::Here).ok_or(QueryError::UnknownSid)
    }

    pub(super) fn remember(&self, connection: &Arc<Connection<A>>) {
        let key = connection.key;
        self.n_connections.fetch_add(1, Ordering::Relaxed);
        self.shard(key).lock().insert(key, Arc::clone(connection));
    }

    pub(super) fn forget(&self, key: SessionKey) {
        if self.shard(key).lock().remove(&key).is_some() {
            self.n_connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns the id under which the client of a session names it.
    pub(super) fn sid(&self, key: SessionKey) -> String {
        self.config.sid_key.seal(self.config.peers.name(), key)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns the connections that are open. Their keys are random, so is the order.
    fn connections(&self) -> impl Iterator<Item = Weak<Connection<A>>> {
        let shard = |shard: &Mutex<HashMap<_, _>>| {
            let shard = shard.lock();
            shard.values().map(Arc::downgrade).collect::<Vec<_>>()
        };
        self.connections.iter().flat_map(shard)
    }

    #[expect(clippy::indexing_slicing, reason = "an index modulo the length")]
    fn shard(&self, key: SessionKey) -> &Mutex<HashMap<SessionKey, Arc<Connection<A>>>> {
        &self.connections[usize::from(key.first_byte()) % N_SHARDS]
    }
}

/// A client that is to be sent away.
enum Leaving<A: Application> {
    Connection(Weak<Connection<A>>),
    /// One whose session is elsewhere; any.
    Tunnel,
}

fn is_busy<A: Application>(connection: &Weak<Connection<A>>) -> bool {
    connection
        .upgrade()
        .is_some_and(|connection| connection.is_busy())
}

/// Where a session is.
pub(super) enum Place<'a, A: Application> {
    Here(Arc<Connection<A>>),
    /// At another replica.
    At(&'a str),
}

/// The place of one TCP connection among those that are allowed.
pub(super) struct Slot<A: Application>(Arc<Shared<A>>);

impl<A: Application> Slot<A> {
    pub(super) const fn server(&self) -> &Arc<Shared<A>> {
        &self.0
    }

    pub(super) fn take(server: &Arc<Shared<A>>) -> Option<Self> {
        let n_http = server.n_http.fetch_add(1, Ordering::Relaxed);
        let slot = Self(Arc::clone(server));
        let n_connections = server.n_connections.load(Ordering::Relaxed);
        (n_http + n_connections < server.config.max_connections).then_some(slot)
    }

    /// Makes of a client's connection what is read and written; `None` if it ended or took too long.
    async fn greet(&self, stream: TcpStream) -> Option<Stream> {
        stream.set_nodelay(true).ok()?;
        let config = &self.0.config;
        let Some(tls) = &config.tls else {
            return Some(Stream::Tcp(stream));
        };
        let accept = Box::pin(tls.accept_with(stream, |session| {
            session.set_buffer_limit(Some(TLS_BUFFER));
        }));
        match timeout(config.request_timeout, accept).await {
            Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "client speaks no TLS"
                );
                None
            }
            Err(_) => None,
        }
    }

    /// Serves the requests that come over `stream` from `peer`. Returns the session to which the
    /// last answer belonged, if it did to one.
    async fn serve(&self, stream: Stream, peer: IpAddr) -> (hyper::Result<()>, Option<Of>) {
        let server = &self.0;
        let last = Mutex::new(None);
        let service = service_fn(|request| {
            let answer = http::handle(Arc::clone(server), peer, request);
            let last = &last;
            async move {
                let mut answer = answer.await?;
                *last.lock() = answer.extensions_mut().remove::<Of>();
                Ok::<_, Infallible>(answer)
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(server.config.request_timeout)
            .max_header_size(server.config.max_head)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        (served, last.into_inner())
    }
}

impl<A: Application> Drop for Slot<A> {
    fn drop(&mut self) {
        self.0.n_http.fetch_sub(1, Ordering::Relaxed);
    }
}
