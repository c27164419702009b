//! Several servers, and a network between them that does what the test wants.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use chat_proto::v1;
use parking_lot::Mutex;
use prost::Message as _;
use realtime_gateway::{
    peers::{Outgoing, Peers, TICK},
    transport::{Config, SidKey},
};

use super::World;

/// Servers without affinity: each request goes to the next one.
pub(crate) struct Deployment {
    pub(crate) worlds: Vec<World>,
    pub(crate) network: Arc<Network>,
    n_requests: AtomicUsize,
}

/// Says which segments are lost.
type Loss = fn(&v1::Segment) -> bool;

/// Carries what the servers say to each other.
#[derive(Default)]
pub(crate) struct Network {
    members: Mutex<HashMap<String, Arc<Peers>>>,
    /// Whether a message is lost on its way.
    pub(crate) loses: Mutex<Option<Loss>>,
    /// Whether every message comes twice, the second time after all that is on its way.
    pub(crate) repeats: AtomicBool,
    /// The largest segment so far.
    pub(crate) largest: AtomicUsize,
}

impl Deployment {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default).await
    }

    pub(crate) async fn with(config: impl Fn() -> Config) -> Self {
        let network = Arc::<Network>::default();
        let mut worlds = Vec::new();
        for name in ["a", "b", "c"] {
            let peers = Peers::new(name, 100);
            network.join(&peers);
            let world = World::with(Config {
                peers,
                sid_key: SidKey::new(b"deployment"),
                ..config()
            })
            .await;
            let server = world.server.clone();
            tokio::spawn(async move { server.serve_peers().await });
            worlds.push(world);
        }
        Self {
            worlds,
            network,
            n_requests: AtomicUsize::new(0),
        }
    }

    /// The server for the next request.
    pub(crate) fn next(&self) -> &World {
        let i = self.n_requests.fetch_add(1, Ordering::Relaxed);
        &self.worlds[i % self.worlds.len()]
    }

    /// Opens a session at the first server, in the root namespace, with each request at the next
    /// server. Returns its query.
    pub(crate) async fn polling(&self) -> String {
        self.n_requests.store(0, Ordering::Relaxed);
        let query = self.next().polling_handshake().await;
        assert_eq!(self.next().post(&query, "40").await.0, 200);
        assert!(self.next().get(&query).await.1.starts_with("40{"));
        query
    }
}

impl Network {
    /// Ends a server, as the others see it.
    pub(crate) fn remove(&self, name: &str) {
        self.members.lock().remove(name);
    }

    fn join(self: &Arc<Self>, peers: &Arc<Peers>) {
        self.members
            .lock()
            .insert(peers.name().to_owned(), Arc::clone(peers));
        peers.link();
        let (network, said) = (Arc::clone(self), Arc::clone(peers));
        tokio::spawn(async move {
            loop {
                let message = said.next().await;
                network.carry(&said, message);
            }
        });
        let ticked = Arc::clone(peers);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                ticked.tick();
            }
        });
    }

    fn carry(&self, from: &Peers, message: Outgoing) {
        let members = self.members.lock();
        let is_member = members.contains_key(from.name());
        let Some(to) = members.get(&*message.to).filter(|_| is_member).cloned() else {
            drop(members);
            return from.undelivered(&message.to, message.stream);
        };
        drop(members);
        if message.stream == 0 {
            return;
        }
        let segment = v1::Segment::decode(message.payload.clone()).unwrap();
        self.largest
            .fetch_max(message.payload.len(), Ordering::Relaxed);
        if !self.loses.lock().is_some_and(|loses| loses(&segment)) {
            if self.repeats.load(Ordering::Relaxed) {
                let (to, again) = (Arc::clone(&to), message.payload.clone());
                tokio::spawn(async move { to.hear(again) });
            }
            to.hear(message.payload);
        }
    }
}
