//! The port that clients connect to: who is let in, who is there, and how all are sent away.

use std::{
    net::SocketAddr,
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
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Application, Config, connection::Connection, http, sid::SessionKey};

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

    /// Sends all clients away so that they come back elsewhere, and returns when none is left.
    ///
    /// No connection is opened any more. At least `per_second` are closed, more when it would take
    /// longer than `within`; in no particular order, but the busy ones last, and each when what its
    /// client was heard to say has been handled.
    pub async fn drain(&self, per_second: u32, within: Duration) {
        /// Connections are drained this often, several at once.
        const STEPS_PER_SECOND: u32 = 20;

        self.0.is_refusing.store(true, Ordering::Relaxed);
        let (busy, mut all): (Vec<_>, Vec<_>) = self.0.connections().partition(is_busy);
        all.extend(busy);
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
            for connection in step.iter().filter_map(Weak::upgrade) {
                connection.drain();
            }
        }
        while self.n_connections() != 0 {
            steps.tick().await;
        }
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
            if let Err(error) = slot.serve(stream, peer).await {
                tracing::debug!(error = &*error, "request not served");
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

    /// Returns the connection that `sid` names.
    ///
    /// The one place that knows of other replicas: their connections are out of reach.
    pub(super) fn find(&self, sid: &str) -> Result<Arc<Connection<A>>, QueryError> {
        match self.config.sid_key.open(sid) {
            Some((replica, key)) if replica == self.config.replica => self
                .shard(key)
                .lock()
                .get(&key)
                .cloned()
                .ok_or(QueryError::UnknownSid),
            Some(_) | None => Err(QueryError::UnknownSid),
        }
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
        self.config.sid_key.seal(&self.config.replica, key)
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

fn is_busy<A: Application>(connection: &Weak<Connection<A>>) -> bool {
    connection
        .upgrade()
        .is_some_and(|connection| connection.is_busy())
}

/// The place of one TCP connection among those that are allowed.
struct Slot<A: Application>(Arc<Shared<A>>);

impl<A: Application> Slot<A> {
    fn take(server: &Arc<Shared<A>>) -> Option<Self> {
        let n_http = server.n_http.fetch_add(1, Ordering::Relaxed);
        let slot = Self(Arc::clone(server));
        let n_connections = server.n_connections.load(Ordering::Relaxed);
        (n_http + n_connections < server.config.max_connections).then_some(slot)
    }

    async fn serve(
        self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        stream.set_nodelay(true)?;
        let server = &self.0;
        let service = service_fn(|request| http::handle(Arc::clone(server), peer.ip(), request));
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(server.config.request_timeout)
            .max_header_size(server.config.max_head)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await?;
        Ok(())
    }
}

impl<A: Application> Drop for Slot<A> {
    fn drop(&mut self) {
        self.0.n_http.fetch_sub(1, Ordering::Relaxed);
    }
}
