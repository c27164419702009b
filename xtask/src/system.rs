//! The whole system on this machine: servers, stores, gateways, load balancer.
//!
//! Starts things in the order in which they need each other and ends them in the opposite one.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{
    apps::Apps,
    demo::{self, Demo},
    endpoints,
    fetch::Source,
    json,
    links::Links,
    places::Places,
    ports::{self, Ports},
    process::Running,
    process::Task,
    run_dir::{Keep, RunDir},
    secret,
    servers::{
        Broker, Durability, Programs, Servers,
        haproxy::{self, Replica},
        nats, postgres, redis,
    },
    services::{self, Profile, Service, Shared},
};

/// What to start.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) gateways: usize,
    pub(crate) stores: usize,
    /// The public port; `None` takes a free one.
    pub(crate) port: Option<u16>,
    pub(crate) keep: Keep,
    pub(crate) durability: Durability,
    pub(crate) profile: Profile,
    /// Where missing servers come from.
    pub(crate) source: Source,
    /// Whether the services export what is sampled, to a collector that tests will be.
    pub(crate) traces: bool,
}

/// A running system; dropped, it ends in order.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) haproxy: Running,
    pub(crate) gateways: Vec<Service>,
    pub(crate) stores: Vec<Service>,
    pub(crate) servers: Servers,
    /// What the servers run, for tests that start some of their own.
    pub(crate) programs: Programs,
    pub(crate) demo: Demo,
    pub(crate) addresses: Vec<SocketAddr>,
    apps: Apps,
    service_token: String,
    collector: Option<String>,
    pub(crate) run: RunDir,
}

impl System {
    /// Starts everything and waits until all of it is ready.
    ///
    /// `build` is the build of the services; the servers are prepared while it goes on.
    ///
    /// # Errors
    ///
    /// When anything can't be fetched, built or started; what was started is ended again.
    pub(crate) fn start(options: &Options, places: &Places, build: Option<Task>) -> Result<Self> {
        Self::start_linked(options, places, build, Broker::Single, |_, _| {
            Ok(Links::default())
        })
    }

    /// As [`System::start`], NATS being `broker` and the services finding the servers through `links`,
    /// which is asked when the build is there and the servers answer.
    ///
    /// # Errors
    ///
    /// As [`System::start`], and when `links` fails.
    pub(crate) fn start_linked(
        options: &Options,
        places: &Places,
        build: Option<Task>,
        broker: Broker,
        links: impl FnOnce(&mut Servers, &mut Ports) -> Result<Links>,
    ) -> Result<Self> {
        let mut free = Ports::new();
        let port = options.port.map_or_else(|| free.take(), Ok)?;
        let addresses = ports::public(port)?;
        let run = RunDir::open(places, options.keep)?;
        let programs = Programs::get(places, options.source)?;
        let durability = options.durability;
        let mut servers =
            Servers::start_as(&programs, places, &run, &mut free, durability, broker)?;
        if let Some(mut build) = build {
            let status = build.wait()?;
            ensure!(status.success(), "the build failed; see above");
        }

        let collector = options.traces.then(|| free.take()).transpose()?;
        let collector = collector.map(|port| format!("http://127.0.0.1:{port}"));
        let [store_login, custodian] =
            postgres::logins(&programs.postgres, &run, &servers.postgres)?;
        services::migrate(places, options.profile, &servers.postgres.url)?;
        let apps = Apps::of_run(&run)?;
        let shared = Shared {
            profile: options.profile,
            apps_file: apps.write(&run)?,
            demo_file: run.path.join("demo.json"),
            files_folder: run.path.join("files"),
            public_url: addresses
                .first()
                .map_or_else(String::new, |address| format!("http://{address}")),
            service_token: secret::kept(&run.path.join("service.token"))?,
            deployment_key: secret::kept(&run.path.join("deployment.key"))?,
            database_url: store_login,
            custodian_database_url: custodian,
            nats_url: servers.nats.url.clone(),
            nats_seed_of_stores: nats::seed_of(&run, "store")?,
            nats_seed_of_gateways: nats::seed_of(&run, "gateway")?,
            redis_url: servers.redis.url.clone(),
            redis_url_of_stores: redis::url_of_stores(&run, &servers.redis)?,
            links: links(&mut servers, &mut free)?,
            stun_urls: servers.coturn.stun_urls(),
            turn_urls: servers.coturn.turn_urls(),
            turn_secret: servers.coturn.secret.clone(),
            collector,
        };
        let stores = start_all("s", options.stores, |name| {
            Service::store(name, places, &run, &mut free, &shared)
        })?;
        let demo = seed(&apps, &stores, &shared)?;
        demo.write(&shared.demo_file)?;
        let gateways = start_all("g", options.gateways, |name| {
            Service::gateway(name, places, &run, &mut free, &shared)
        })?;
        let haproxy = haproxy::start(
            &programs.haproxy,
            places,
            &run,
            &addresses,
            &replicas(&gateways),
            &replicas(&stores),
        )?;
        Ok(Self {
            haproxy,
            gateways,
            stores,
            servers,
            programs,
            demo,
            addresses,
            apps,
            service_token: shared.service_token,
            // The services have the environment of whoever starts them.
            collector: shared
                .collector
                .or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok()),
            run,
        })
    }

    /// Where clients go, by address.
    pub(crate) fn public_url(&self) -> String {
        self.addresses
            .first()
            .map_or_else(String::new, |address| format!("http://{address}"))
    }

    /// Writes the endpoints file.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub(crate) fn write_endpoints(&self, file: &Path) -> Result<()> {
        let pid = self.haproxy.pid().to_string();
        let mut members = vec![
            ("public", json::string(&self.public_url())),
            (
                "gateways",
                json::array(self.gateways.iter().map(Service::to_json)),
            ),
            (
                "stores",
                json::array(self.stores.iter().map(Service::to_json)),
            ),
        ];
        members.extend(endpoints::of_servers(&self.servers));
        let seed = |service| Ok((service, json::string(&nats::seed_of(&self.run, service)?)));
        let seeds = nats::SERVICES.into_iter().map(seed);
        members.push((
            "nats_seeds",
            json::object(seeds.collect::<Result<Vec<_>>>()?),
        ));
        members.extend([
            ("haproxy", json::object([("pid", pid)])),
            (
                "collector",
                json::string(self.collector.as_deref().unwrap_or_default()),
            ),
            ("service_token", json::string(&self.service_token)),
            ("apps", self.apps.to_json()),
        ]);
        endpoints::write(file, members)
    }

    /// Our own services.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.gateways.iter().chain(&self.stores)
    }

    /// Every process, for whoever watches over them.
    pub(crate) fn processes(&mut self) -> Vec<&mut Running> {
        let services = self.gateways.iter_mut().chain(&mut self.stores);
        let mut all: Vec<_> = services.map(|service| &mut service.running).collect();
        all.push(&mut self.haproxy);
        all.extend(self.servers.iter_mut());
        all
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.haproxy.end();
        for replicas in [&mut self.gateways, &mut self.stores] {
            for service in replicas.iter_mut() {
                service.running.ask_to_end();
            }
            for service in replicas.iter_mut() {
                service.running.end();
            }
        }
    }
}

/// Starts `count` replicas and waits for all of them.
fn start_all(
    prefix: &str,
    count: usize,
    mut start: impl FnMut(&str) -> Result<Service>,
) -> Result<Vec<Service>> {
    let mut services = (1..=count)
        .map(|number| start(&format!("{prefix}{number}")))
        .collect::<Result<Vec<_>>>()?;
    for service in &mut services {
        service.wait_until_ready()?;
    }
    Ok(services)
}

fn seed(apps: &Apps, stores: &[Service], shared: &Shared) -> Result<Demo> {
    let store = stores
        .first()
        .context("there is no store; use --stores 1")?;
    let internal_port = store
        .internal_port
        .context("the store has no internal port")?;
    demo::seed(apps, store.port, internal_port, &shared.service_token)
}

fn replicas(services: &[Service]) -> Vec<Replica<'_>> {
    services
        .iter()
        .map(|service| Replica {
            name: &service.running.name,
            port: service.port,
            admin_port: service.admin_port,
        })
        .collect()
}
