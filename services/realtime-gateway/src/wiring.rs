//! Builds everything and puts it together; the only file that knows all parts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chat_proto::subject::GATEWAY_INBOX;
use service_kit::{
    Service,
    apps::{Apps, Identity},
    auth::Verifier,
    bind,
};
use socketio_protocol::connection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    calls::Calls,
    config::Config,
    delivery::{Delivery, DeliveryInbox, Receipts},
    demo,
    events::{Chat, Parts, TypingSignals},
    headcount::Headcount,
    journal::Journal,
    metrics::{self, Metric},
    nats::{self, InterestConnection, InterestError, NatsPublisher, NatsRequests},
    peers::Peers,
    ports::{Interest, Publisher, Requests},
    presence::PresenceFeed,
    quotas::Quotas,
    random,
    registry::{Conversations, Registry},
    revocations::RevocationFeed,
    session::RecoveryKey,
    store::Store,
    transport::{self, Pages, Server, SidKey},
};

/// How often the gauges are set that are counted on demand.
const GAUGES: Duration = Duration::from_secs(10);

/// How long clients wait for the stores to say what is revoked when the process begins.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the stores are told of those who left when the process ends.
const SETTLE: Duration = Duration::from_secs(3);

/// The ways out of the process.
#[expect(missing_docs, reason = "each is described at its type")]
pub struct Ports {
    pub requests: Arc<dyn Requests>,
    pub publisher: Arc<dyn Publisher>,
    pub interest: Arc<InterestConnection>,
    pub peers: Arc<Peers>,
}

/// Starts the gateway. It runs until the process is told to end.
///
/// # Errors
///
/// Returns what the operator has to correct.
pub async fn start(service: Service, config: Config) -> anyhow::Result<()> {
    metrics::describe();
    service
        .lifecycle
        .drain_within(config.lifecycle.drain_timeout);
    let name = format!("realtime-gateway {}", config.replica);
    let health = service.health.dependency("nats");
    let access = config.nats.access()?;
    let connect =
        async |health| service_kit::nats::connect(&access, GATEWAY_INBOX, &name, health).await;
    let client = connect(health).await?;
    let (publisher, signals) = NatsPublisher::new();
    // Named after the process: a session does not outlive it, and names in settings may be the same.
    let peers_name = format!("{}-{:016x}", config.replica, random::bits());
    let peers = Peers::new(&peers_name, config.connections.max_connections);
    let health = service.health.dependency("nats_peers");
    let peers_client = connect(health).await?;
    let ports = Ports {
        requests: Arc::new(NatsRequests::new(client.clone())),
        publisher: Arc::new(publisher),
        interest: Arc::new(InterestConnection::new(access, name)),
        peers: Arc::clone(&peers),
    };
    let serving = serve(&service, &config, ports).await?;
    let carried = carry(peers_client, peers, serving.over.clone());
    service.lifecycle.spawn("peers", carried);
    service
        .lifecycle
        .spawn("signals", signals.send(client, serving.over));
    Ok(())
}

/// Carries what gateways say to each other until all is over here, and what was still to be said of
/// that.
async fn carry(client: async_nats::Client, peers: Arc<Peers>, over: CancellationToken) {
    let settled = async {
        over.cancelled().await;
        // Those who hear nothing any more find out by themselves.
        let _ = tokio::time::timeout(SETTLE, peers.settled()).await;
    };
    tokio::select! {
        () = settled => {}
        Err(error) = nats::carry(&client, &peers) => {
            tracing::error!(error = &*error, "other gateways cannot be reached any more");
        }
    }
}

/// A gateway that serves clients.
#[derive(Debug)]
pub struct Serving {
    /// Where it does.
    pub address: SocketAddr,
    /// Pulled when the last client is gone.
    pub over: CancellationToken,
}

/// Serves clients over `ports`. The work goes on in tasks of the service until the process is told
/// to end.
///
/// # Errors
///
/// Returns what the operator has to correct.
pub async fn serve(service: &Service, config: &Config, ports: Ports) -> anyhow::Result<Serving> {
    let apps = Arc::new(Apps::load(&config.apps.apps_file)?);
    let transport = transport::Config {
        tls: service.tls.clone(),
        ..transport_config(config, Arc::clone(&ports.peers))?
    };
    let listener = bind(config.listen, "GATEWAY_LISTEN").await?;
    let address = listener.local_addr()?;
    apps.watch_keys(&service.lifecycle).await;
    for app in apps.iter().filter(|app| app.identity == Identity::Declared) {
        tracing::warn!(
            app = app.id.as_str(),
            "clients of this app need no token: whoever reaches the gateway can be anybody in it"
        );
    }

    let background = Background {
        service: service.clone(),
        ended: CancellationToken::new(),
    };
    let (chat, rest) = chat(&background, config, apps, ports, recovery_key(config)?);
    rest.revocations.begin(PATIENCE).await;
    let server = Server::new(transport, chat);
    let peered = server.clone();
    background.run("peers", async move { peered.serve_peers().await });
    let over = background.ended.clone();
    serve_clients(background, server, rest, listener, config);
    Ok(Serving { address, over })
}

/// Builds the chat and starts what it does in the background.
fn chat(
    background: &Background,
    config: &Config,
    apps: Arc<Apps>,
    ports: Ports,
    recovery: Arc<RecoveryKey>,
) -> (Arc<Chat>, Rest) {
    let service = &background.service;
    let lifecycle = &service.lifecycle;
    let replica = random::bits();
    let interest = ports.interest;
    let store = Store::new(ports.requests);
    let typing = Arc::new(TypingSignals::new(Arc::clone(&ports.publisher)));

    let journal = Arc::new(Journal::new(Arc::clone(&ports.publisher), replica));
    let conversations = Arc::new(Conversations::default());
    let registry = Arc::new(Registry::new(
        Arc::clone(&interest) as Arc<dyn Interest>,
        Arc::clone(&conversations),
        config.limits.sockets_per_user,
    ));
    let calls = Arc::new(Calls::new(
        Arc::clone(&registry),
        store.clone(),
        Arc::clone(&ports.publisher),
        replica,
    ));
    let receipts = Arc::new(Receipts::default());
    let delivery = Arc::new(Delivery::new(
        Arc::clone(&apps),
        Arc::clone(&registry),
        store.clone(),
        Arc::clone(&receipts),
        (Arc::clone(&ports.publisher), Arc::clone(&journal)),
        replica,
        lifecycle.tracker(),
    ));
    let handshakes = config.limits.handshakes();
    let headcount = Arc::new(Headcount::new(
        Arc::clone(&registry),
        Arc::clone(&ports.publisher),
        replica,
    ));
    let quotas = Arc::new(Quotas::new(handshakes, ports.publisher, replica));
    let verifier = Verifier::new(apps);
    let revocations = Arc::new(RevocationFeed::new(
        Arc::clone(verifier.revocations()),
        store.clone(),
        Arc::clone(&registry),
    ));
    let chat = Arc::new(Chat::new(Parts {
        verifier,
        registry: Arc::clone(&registry),
        delivery: Arc::clone(&delivery),
        interest: Arc::clone(&interest) as Arc<dyn Interest>,
        store: store.clone(),
        typing: Arc::clone(&typing),
        calls: Arc::clone(&calls),
        rates: config.limits.rates(),
        quotas: Arc::clone(&quotas),
        headcount: Arc::clone(&headcount),
        replica,
        tasks: lifecycle.tracker(),
        recovery,
        journal: Arc::clone(&journal),
    }));

    let health = service.health.dependency("nats_interest");
    let inbox = DeliveryInbox {
        delivery: Arc::clone(&delivery),
        calls: Arc::clone(&calls),
        presence: Arc::new(PresenceFeed::new(Arc::clone(&registry))),
        revocations: Arc::clone(&revocations),
        quotas: Arc::clone(&quotas),
        headcount,
    };
    background.run("interest", async move {
        let report = |state: Result<(), &InterestError>| match state {
            Ok(()) => health.up(),
            Err(error) => health.down(error.to_string()),
        };
        interest.run(&inbox, report).await;
    });
    let rest = Rest {
        calls: Arc::clone(&calls),
        receipts: Arc::clone(&receipts),
        revocations: Arc::clone(&revocations),
        journal: Arc::clone(&journal),
    };
    background.run("journal", async move { journal.run().await });
    background.run("calls", async move { calls.run().await });
    background.run("typing", async move { typing.run().await });
    let tasks = lifecycle.tracker();
    background.run("receipts", async move { receipts.run(store, tasks).await });
    let checked = Arc::clone(&delivery);
    background.run("positions", async move { checked.check_positions().await });
    background.run("joined", async move { delivery.check_joined().await });
    let watched = Arc::clone(&chat);
    background.run("quotas", async move { quotas.run().await });
    background.run("revocations", async move { revocations.run().await });
    background.run("tokens", async move { watched.watch_tokens().await });
    background.run("gauges", set_gauges(registry, conversations));
    (chat, rest)
}

/// What the stores are to say before the first client is let in, and what they are still to be told
/// when the last is gone.
struct Rest {
    calls: Arc<Calls>,
    receipts: Arc<Receipts>,
    revocations: Arc<RevocationFeed>,
    journal: Arc<Journal>,
}

impl Rest {
    /// Waits until they know, or a while; they would find out by themselves, later.
    async fn settled(self) {
        let told = async { tokio::join!(self.calls.settled(), self.receipts.settled()) };
        if tokio::time::timeout(SETTLE, told).await.is_err() {
            tracing::warn!("the stores were not told of everybody who left");
        }
        self.journal.end();
    }
}

/// Work that goes on for as long as sockets may be open.
struct Background {
    service: Service,
    ended: CancellationToken,
}

impl Background {
    fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.service.lifecycle.spawn(name, async move {
            tokio::select! {
                () = task => {}
                () = ended.cancelled() => {}
            }
        });
    }
}

/// Serves clients, and sends them away when the process is told to end. Until the last is gone, new
/// ones are told to try elsewhere, and polling clients find their session.
fn serve_clients(
    background: Background,
    server: Server<Chat>,
    rest: Rest,
    listener: TcpListener,
    config: &Config,
) {
    let lifecycle = background.service.lifecycle;
    let per_second = config.connections.drain_per_second;
    // The rest is for what the last ones still had to say.
    let within = config.lifecycle.drain_timeout / 2;
    let soft = lifecycle.soft();
    lifecycle.spawn("clients", async move {
        let drain = async {
            soft.cancelled().await;
            server.drain(per_second, within).await;
        };
        tokio::select! {
            () = server.serve(listener) => {}
            () = drain => {}
        }
        rest.settled().await;
        background.ended.cancel();
    });
}

fn transport_config(config: &Config, peers: Arc<Peers>) -> anyhow::Result<transport::Config> {
    let connections = &config.connections;
    Ok(transport::Config {
        protocol: connection::Config {
            ping_interval: connections.ping_interval,
            ping_timeout: connections.ping_timeout,
            max_payload: connections.max_payload,
            ..connection::Config::default()
        },
        max_connections: connections.max_connections,
        peers,
        sid_key: sid_key(config)?,
        trusted_proxies: connections.trusted_proxies.clone(),
        pages: pages(config)?,
        ..transport::Config::default()
    })
}

fn pages(config: &Config) -> anyhow::Result<Pages> {
    let Some(file) = &config.demo else {
        return Ok(Pages::default());
    };
    tracing::warn!("/demo hands out tokens to everybody: this is no production system");
    demo::pages(file).context("GATEWAY_DEMO")
}

fn sid_key(config: &Config) -> anyhow::Result<SidKey> {
    let Some(key) = deployment_key(config)? else {
        tracing::warn!("no CHAT_DEPLOYMENT_KEY: sessions cannot be continued at other gateways");
        return Ok(SidKey::generate());
    };
    Ok(SidKey::new(key.as_bytes()))
}

fn recovery_key(config: &Config) -> anyhow::Result<Arc<RecoveryKey>> {
    let window = config.recovery_window;
    Ok(Arc::new(match deployment_key(config)? {
        Some(key) => RecoveryKey::new(key.as_bytes(), window),
        None => RecoveryKey::generate(window),
    }))
}

fn deployment_key(config: &Config) -> anyhow::Result<Option<String>> {
    let Some(key) = &config.deployment_key else {
        return Ok(None);
    };
    let text = key.expose();
    let is_key = 64 <= text.len() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(
        is_key,
        "CHAT_DEPLOYMENT_KEY must be at least 64 hexadecimal digits"
    );
    Ok(Some(text.to_ascii_lowercase()))
}

async fn set_gauges(registry: Arc<Registry>, conversations: Arc<Conversations>) {
    let mut ticks = tokio::time::interval(GAUGES);
    #[expect(clippy::cast_precision_loss, reason = "a gauge needs no more")]
    loop {
        ticks.tick().await;
        ::metrics::gauge!(Metric::Users.name()).set(registry.n_users() as f64);
        ::metrics::gauge!(Metric::Conversations.name()).set(conversations.len() as f64);
    }
}
