//! Puts the service together: the one module that knows all its parts.

mod state;
mod upkeep;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use chat_domain::{ChatError, ErrorKind};
use chat_proto::subject::STORE_INBOX;
use redis::{Client, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use service_kit::{
    DependencyHealth, Lifecycle, Secret, Service, apps::Apps, auth::Verifier, bind, limits::Rate,
    nats, serve,
};

use crate::{
    app::{
        self, App, Attachments, BatchLimits, Chain, Custodian, IceServers, Intake, Relay,
        ServiceTeller, calls::Calls, presence::Roster,
    },
    config::{
        AppendArgs, Config, FilesArgs, IceArgs, InArgs, MigrateConfig, OutArgs, RedisArgs,
        RequestArgs, VerifyConfig,
    },
    files::{BucketSettings, FileStore},
    http,
    metrics::Metric,
    nats::{
        InLimits, InReader, JournalStream, Notifier, OutLimits, OutPublisher, Publisher, Server,
    },
    pg::Pg,
    ports_audit::AuditLog as _,
    redis::RedisState,
};

/// How many connections expiry, holds and erasure have.
const CUSTODIANS: u32 = 2;

/// The longest pause between two attempts to reach Postgres.
const MAX_BACK_OFF: Duration = Duration::from_secs(5);

/// Starts everything and returns.
///
/// # Errors
///
/// Returns what an operator has to put right: a port in use, a broken apps file, a database whose
/// schema cannot be migrated.
pub async fn start(config: Config, service: Service) -> anyhow::Result<()> {
    let (lifecycle, health) = (service.lifecycle, service.health);
    lifecycle.drain_within(config.lifecycle.drain_timeout);
    Metric::describe_all();

    // Settings first: what is wrong there shows before anything is waited for.
    let apps = Arc::new(Apps::load(&config.apps.apps_file)?);
    let public = bind(config.listen, "STORE_LISTEN").await?;
    let internal = bind(config.internal_listen, "STORE_INTERNAL_LISTEN").await?;
    let access = config.nats.access()?;
    let redis = config.redis.address()?;
    apps.watch_keys(&lifecycle).await;

    let connection = health.dependency("nats");
    let client = nats::connect(&access, STORE_INBOX, "chat-store", connection).await?;
    let postgres = health.dependency("postgres");
    let pg = prepare(&config, &postgres).await?;
    let writer = writer(&config, &postgres).await?;
    let custodian = custodian(&config, &postgres, &pg).await?;
    let store = Arc::new(pg.clone());
    let state = RedisState::new(redis, "", store.clone())?;
    let jetstream = health.dependency("jetstream");
    let out = OutPublisher::new(client.clone(), config.out.limits(), jetstream);
    let shared = Arc::new(state.clone());
    let teller = ServiceTeller::new(store.clone(), shared, Arc::new(out.clone()));
    let (publisher, publishing) = Publisher::new(
        client.clone(),
        store.clone(),
        Arc::new(teller.clone()),
        config.publish_queue,
    );
    lifecycle.spawn("publisher", publishing);
    let publisher = Arc::new(publisher);
    let calls = Calls::new(
        Arc::new(state.clone()),
        store.clone(),
        store.clone(),
        Arc::clone(&apps),
    );
    let roster = Roster::new(Arc::new(state.clone()), store.clone(), Arc::clone(&apps));
    let app = App::new(
        store,
        Arc::new(writer),
        publisher.clone(),
        calls,
        roster,
        Arc::clone(&apps),
        config.append.limits(),
    );
    let app = keep_files(app, &apps, &config, &pg, &lifecycle)?;

    let soft = lifecycle.soft();
    let notifier = Notifier::new(client.clone());
    let intake = Intake::new(&app, Arc::new(notifier.clone()));
    let reader = InReader::new(client.clone(), intake, config.inbound.limits());
    lifecycle.spawn("intake", reader.run(soft.clone()));
    let journal = JournalStream::new(client.clone(), config.journal_max_bytes);
    let server = Server::join(client).await?;
    let serving = server.serve(app.clone(), config.rpc_concurrency, soft.clone());
    lifecycle.spawn("requests", serving);

    let verifier = Verifier::new(Arc::clone(&apps));
    learn_revocations(&app, &verifier, &pg, &lifecycle).await?;

    let routes = http::router(
        app.clone(),
        verifier,
        config.ice.servers(),
        config.requests.rate(),
    );
    let serving = serve(public, service.tls.clone(), routes, lifecycle.clone());
    lifecycle.spawn("rest", serving);
    let records = officers(&app, [&pg, &custodian], journal, &lifecycle);
    let routes = http::internal_router(records, &config.service_token);
    let serving = serve(internal, service.tls, routes, lifecycle.clone());
    lifecycle.spawn("internal http", serving);

    lifecycle.spawn(
        "partitions",
        upkeep::keep_partitions(pg.clone(), soft.clone()),
    );
    lifecycle.spawn(
        "retention",
        upkeep::keep_expiring(custodian, Arc::clone(&apps), soft.clone()),
    );
    let sweeping = upkeep::keep_sweeping(pg.clone(), publisher.clone(), soft.clone());
    lifecycle.spawn("sweeper", sweeping);
    let max_age = config.out.limits().max_age;
    let telling = upkeep::keep_telling(pg.clone(), teller, max_age, soft.clone());
    lifecycle.spawn("teller", telling);
    state::start(
        &lifecycle,
        state::Parts {
            state,
            pg: pg.clone(),
            notifier,
            out,
            events: publisher,
            app,
            apps,
            redis: health.dependency("redis"),
        },
    );
    lifecycle.spawn("postgres health", upkeep::keep_watching(pg, postgres, soft));
    Ok(())
}

/// Lets officers ask, and keeps what gateways note of messages and where the log of accesses ends.
fn officers(
    app: &App,
    [pg, custodian]: [&Pg; 2],
    journal: JournalStream,
    lifecycle: &Lifecycle,
) -> Custodian {
    let keeping = upkeep::keep_journal(journal.clone(), lifecycle.soft());
    lifecycle.spawn("journal", keeping);
    let heads = upkeep::keep_logging_heads(pg.clone(), lifecycle.soft());
    lifecycle.spawn("audit heads", heads);
    let (records, stored) = (Arc::new(custodian.clone()), Arc::new(pg.clone()));
    Custodian::new(app.clone(), records, stored, Arc::new(journal))
}

/// Learns who is not let in any more, before anybody is, and goes on learning.
async fn learn_revocations(
    app: &App,
    verifier: &Verifier,
    pg: &Pg,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let (known, soft) = (verifier.revocations(), lifecycle.soft());
    app.learn_revocations(known).await?;
    let learning = upkeep::keep_learning(app.clone(), Arc::clone(known), soft.clone());
    lifecycle.spawn("revocations", learning);
    let forgetting = upkeep::keep_forgetting(pg.clone(), Arc::clone(known), soft);
    lifecycle.spawn("old revocations", forgetting);
    Ok(())
}

/// Migrates the database and returns.
///
/// # Errors
///
/// Returns why the database could not be reached or migrated.
pub async fn migrate(config: &MigrateConfig) -> anyhow::Result<()> {
    let pg = Pg::connect(config.database.database_url.expose(), 1)
        .await
        .context("cannot reach the database; see DATABASE_URL")?;
    pg.migrate().await.context("cannot migrate the schema")?;
    pg.create_partitions().await?;
    Ok(())
}

/// Looks for changes in the logs of accesses of all apps, also those that only `known` heads name.
///
/// # Errors
///
/// Returns why the database could not be reached or read.
pub async fn verify_audit(config: &VerifyConfig) -> anyhow::Result<Vec<Chain>> {
    let pg = Pg::connect(config.database.database_url.expose(), 1)
        .await
        .context("cannot reach the database; see DATABASE_URL")?;
    let mut apps = pg.list_chains().await?;
    apps.extend(config.known.iter().map(|head| head.app.clone()));
    apps.sort_unstable();
    apps.dedup();
    let mut chains = Vec::with_capacity(apps.len());
    for app in apps {
        let heads = config.known.iter().filter(|head| head.app == app);
        let known: Vec<_> = heads.map(|head| head.link).collect();
        let dropped = config.dropped.iter().find(|head| head.app == app);
        let dropped = dropped.map(|head| head.link);
        chains.push(app::verify_audit(&pg, &app, &known, dropped).await?);
    }
    Ok(chains)
}

/// Lets users attach files, if there is a place for them.
fn keep_files(
    app: App,
    apps: &Arc<Apps>,
    config: &Config,
    pg: &Pg,
    lifecycle: &Lifecycle,
) -> anyhow::Result<App> {
    let Some(files) = config.files.open(&config.service_token)? else {
        return Ok(app);
    };
    let public_url = config.files.public_url.trim_end_matches('/');
    let attachments = Attachments::new(Arc::new(pg.clone()), Arc::new(files), public_url);
    let cleaning = upkeep::keep_clean(attachments.clone(), Arc::clone(apps), lifecycle.soft());
    lifecycle.spawn("attachments", cleaning);
    Ok(app.with_attachments(attachments))
}

/// Why there is no database to work with.
enum NotOpen {
    /// Waiting may help.
    Yet(ChatError),
    /// An operator has to.
    Ever(anyhow::Error),
}

/// Waits for Postgres and brings its schema up to date, and says so.
async fn prepare(config: &Config, health: &DependencyHealth) -> anyhow::Result<Pg> {
    let args = &config.database;
    let others = u32::from(config.append.append_in_flight);
    let connections = args.database_connections.saturating_sub(others).max(1);
    keep_trying(health, async || open(&args.database_url, connections).await).await
}

/// The connections that append and do nothing else. No question of somebody who reads is in the way of
/// those who send; and a process of Postgres that does one thing has what it needs at hand: what was
/// sent arrives sooner (README, figures).
async fn writer(config: &Config, health: &DependencyHealth) -> anyhow::Result<Pg> {
    let url = &config.database.database_url;
    let connections = config.append.append_in_flight.into();
    keep_trying(health, async || connect(url, connections).await).await
}

/// The login that deletes, where it is another one than that of `pg`.
async fn custodian(config: &Config, health: &DependencyHealth, pg: &Pg) -> anyhow::Result<Pg> {
    match &config.custodian_database_url {
        Some(url) => keep_trying(health, async || connect(url, CUSTODIANS).await).await,
        None => Ok(pg.clone()),
    }
}

async fn keep_trying(
    health: &DependencyHealth,
    attempt: impl AsyncFn() -> Result<Pg, NotOpen>,
) -> anyhow::Result<Pg> {
    let mut pause = Duration::from_millis(100);
    loop {
        match attempt().await {
            Ok(pg) => {
                health.up();
                return Ok(pg);
            }
            Err(NotOpen::Ever(error)) => return Err(error),
            Err(NotOpen::Yet(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    retry_ms = pause.as_millis(),
                    "waiting for Postgres"
                );
                health.down("not reached yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_BACK_OFF);
    }
}

async fn connect(url: &Secret, connections: u32) -> Result<Pg, NotOpen> {
    let connected = Pg::connect(url.expose(), connections).await;
    connected.map_err(|error| {
        if matches!(error, sqlx::Error::Configuration(_)) {
            let error = anyhow::Error::new(error);
            return NotOpen::Ever(error.context("a database URL is no Postgres address"));
        }
        NotOpen::Yet(ChatError::Unavailable {
            dependency: "postgres",
            source: error.into(),
        })
    })
}

async fn open(url: &Secret, connections: u32) -> Result<Pg, NotOpen> {
    let pg = connect(url, connections).await?;
    let prepared = async {
        pg.migrate().await?;
        pg.create_partitions().await
    };
    match prepared.await {
        Ok(_) => Ok(pg),
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            pg.close().await;
            Err(NotOpen::Yet(error))
        }
        Err(error) => Err(NotOpen::Ever(
            anyhow::Error::new(error).context("cannot prepare the schema"),
        )),
    }
}

impl AppendArgs {
    fn limits(&self) -> BatchLimits {
        BatchLimits {
            messages: self.append_batch,
            linger: Duration::from_millis(self.append_linger_ms),
            in_flight: self.append_in_flight.into(),
            queue: self.append_queue,
        }
    }
}

impl RequestArgs {
    fn rate(&self) -> Rate {
        Rate::new(self.requests_per_second, self.requests_burst)
    }
}

impl OutArgs {
    const fn limits(&self) -> OutLimits {
        OutLimits {
            max_age: Duration::from_secs(self.out_max_hours * 3_600),
            max_bytes: self.out_max_bytes,
        }
    }
}

impl FilesArgs {
    /// Opens the place for files, if there is one.
    fn open(&self, secret: &Secret) -> anyhow::Result<Option<FileStore>> {
        let opened = match (&self.files_folder, &self.files_bucket) {
            (Some(folder), _) => FileStore::in_folder(folder, &self.public_url, secret),
            (None, Some(bucket)) => FileStore::in_bucket(&BucketSettings {
                bucket: bucket.clone(),
                region: self.files_region.clone(),
                endpoint: self.files_endpoint.clone(),
                key_id: self.files_key_id.clone().context("STORE_FILES_KEY_ID")?,
                secret: self.files_secret.clone().context("STORE_FILES_SECRET")?,
            }),
            (None, None) => return Ok(None),
        };
        let opened = opened.map_err(|error| anyhow::anyhow!(error));
        opened
            .context("cannot keep files; see STORE_FILES_FOLDER and STORE_FILES_BUCKET")
            .map(Some)
    }
}

impl RedisArgs {
    /// Returns where Redis is and whom to believe there.
    ///
    /// # Errors
    ///
    /// Returns which setting an operator has to put right.
    pub fn address(&self) -> anyhow::Result<ConnectionInfo> {
        let url = self.redis_url.expose();
        let Some(path) = &self.redis_ca_file else {
            return url
                .into_connection_info()
                .context("REDIS_URL is no Redis address");
        };
        let authorities = TlsCertificates {
            client_tls: None,
            root_cert: Some(std::fs::read(path).context("cannot read REDIS_CA_FILE")?),
        };
        let client = Client::build_with_tls(url, authorities)
            .context("REDIS_URL is no rediss:// address, or REDIS_CA_FILE no PEM")?;
        Ok(client.get_connection_info().clone())
    }
}

impl InArgs {
    fn limits(&self) -> InLimits {
        InLimits {
            max_bytes: self.in_max_bytes,
            in_flight: self.in_flight.into(),
        }
    }
}

impl IceArgs {
    fn servers(self) -> IceServers {
        let relay = self.turn_secret.map(|secret| Relay {
            urls: self.turn_urls,
            secret,
            lifetime: Duration::from_secs(self.turn_lifetime_s),
        });
        IceServers {
            stun_urls: self.stun_urls,
            relay,
        }
    }
}
