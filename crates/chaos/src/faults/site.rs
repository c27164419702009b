//! The processes and links of the system, and how to break and mend one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use load_kit::Endpoints;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal};
use sqlx::PgPool;
use tokio::{
    net::TcpStream,
    sync::mpsc::Sender,
    time::{Instant, sleep},
};

use super::{Kind, Lines, PATIENCE};
use crate::{clocks::Clocks, control::Control, proxy::Link, recorder::Recorder, workload::Order};

/// The system, as those who break it see it.
#[derive(Debug, Clone)]
pub struct Site(Arc<Inner>);

/// What a [`Site`] is made of.
#[derive(Debug)]
pub struct Inner {
    /// Starts processes.
    pub control: Control,
    /// Every proxy.
    pub links: Arc<Vec<Link>>,
    /// What services take for the time of day.
    pub clocks: Clocks,
    /// What ran where at the beginning.
    pub endpoints: Endpoints,
    /// Postgres, past the proxies.
    pub database: PgPool,
    /// For questions to services.
    pub http: reqwest::Client,
    /// Where faults are written down.
    pub recorder: Recorder,
    /// Devices that take orders.
    pub orders: Vec<Sender<Order>>,
    /// Pairs that are there to ring each other.
    pub lines: Lines,
    /// A conversation that nobody takes part in, for messages that expire.
    pub expiring: String,
    /// Process ids by name.
    pub pids: Pids,
    /// How often each kind was done.
    pub faults: Mutex<BTreeMap<String, u64>>,
}

/// Process ids by name, over all rounds, and those that are stopped.
#[derive(Debug, Clone, Default)]
pub struct Pids(Arc<Mutex<Processes>>);

#[derive(Debug, Default)]
struct Processes {
    by_name: BTreeMap<String, u32>,
    stopped: BTreeSet<u32>,
}

impl Pids {
    /// Takes those of the beginning.
    #[must_use]
    pub fn of(endpoints: &Endpoints) -> Self {
        let gateways = endpoints.gateways.iter().map(|gateway| gateway.pid);
        let stores = endpoints.stores.iter().map(|store| store.pid);
        let name = |prefix: &'static str| move |(i, pid)| (format!("{prefix}{}", i + 1), pid);
        let mut pids: BTreeMap<_, _> = gateways.enumerate().map(name("g")).collect();
        pids.extend(stores.enumerate().map(name("s")));
        pids.extend(endpoints.nats_peers.iter().zip(2..).map(|(peer, i)| {
            let name = format!("nats{i}");
            (name, peer.pid)
        }));
        for (name, pid) in [
            ("postgres", endpoints.postgres.pid),
            ("nats", endpoints.nats.pid),
            ("redis", endpoints.redis.pid),
            ("haproxy", endpoints.haproxy.pid),
        ] {
            pids.insert(name.to_owned(), pid);
        }
        Self(Arc::new(Mutex::new(Processes {
            by_name: pids,
            stopped: BTreeSet::new(),
        })))
    }

    fn get(&self, name: &str) -> anyhow::Result<u32> {
        let pid = self.0.lock().by_name.get(name).copied();
        pid.with_context(|| format!("no process {name}"))
    }

    /// Continues everything that is stopped.
    pub fn resume_all(&self) {
        for pid in std::mem::take(&mut self.0.lock().stopped) {
            let _ = send(pid, Signal::CONT);
        }
    }
}

impl std::ops::Deref for Site {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Site {
    /// Makes it.
    #[must_use]
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(super) fn began(&self, kind: &Kind) {
        *self.faults.lock().entry(format!("{kind:?}")).or_default() += 1;
    }

    /// Returns how many faults there were.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.faults.lock().values().sum()
    }

    /// Returns the names of all gateways.
    pub(super) fn gateways(&self) -> Vec<String> {
        (1..=self.endpoints.gateways.len())
            .map(|i| format!("g{i}"))
            .collect()
    }

    /// Returns the names of all stores.
    pub(super) fn stores(&self) -> Vec<String> {
        (1..=self.endpoints.stores.len())
            .map(|i| format!("s{i}"))
            .collect()
    }

    /// Returns the names of all servers of NATS, and where they tell about themselves.
    fn nats_monitors(&self) -> impl Iterator<Item = (String, &str)> {
        let name = |i| match i {
            1 => "nats".to_owned(),
            i => format!("nats{i}"),
        };
        let servers = std::iter::once(&self.endpoints.nats).chain(&self.endpoints.nats_peers);
        let monitors = (1..).zip(servers);
        monitors
            .map(move |(i, server)| (name(i), server.monitor_url.as_deref().unwrap_or_default()))
    }

    /// Returns the names of all servers of NATS.
    pub(super) fn brokers(&self) -> Vec<String> {
        self.nats_monitors().map(|(name, _)| name).collect()
    }

    /// Returns the links between the servers of NATS.
    pub(super) fn routes(&self) -> Vec<&Link> {
        let is_route = |link: &&Link| link.service.starts_with("nats");
        self.links.iter().filter(is_route).collect()
    }

    /// Returns the links of a service to a server.
    pub(super) fn links(&self, service: &str, server: &str) -> Vec<&Link> {
        let is_wanted = |link: &&Link| link.service == service && link.server == server;
        self.links.iter().filter(is_wanted).collect()
    }

    /// Sends a process a signal.
    pub(super) fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        send(self.pids.get(name)?, signal).with_context(|| format!("{name} gets no signals"))
    }

    /// Stops a process for a while; with `children`, those that it has, too.
    pub(super) async fn stop(
        &self,
        name: &str,
        time: Duration,
        children: bool,
    ) -> anyhow::Result<()> {
        let pid = self.pids.get(name)?;
        let mut all = vec![pid];
        if children {
            all.extend(children_of(pid)?);
        }
        self.pids.0.lock().stopped.extend(&all);
        for pid in &all {
            // One that has ended since is as good as stopped.
            let _ = send(*pid, Signal::STOP);
        }
        sleep(time).await;
        self.pids.resume_all();
        Ok(())
    }

    /// Waits until a process that was told to end has ended, and returns how.
    pub(super) async fn ended(&self, name: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.control.ended(name).await? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "{name} does not end");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts a process that has ended, and waits until it is ready.
    pub(super) async fn start(&self, name: &str) -> anyhow::Result<()> {
        self.launch(name).await?;
        self.ready(name).await
    }

    /// Starts a process that has ended.
    pub(super) async fn launch(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.control.start(name).await?;
        self.rename(name, pid);
        Ok(())
    }

    /// Gives a name to another process.
    pub(super) fn rename(&self, name: &str, pid: u32) {
        self.pids.0.lock().by_name.insert(name.to_owned(), pid);
    }

    /// Kills a process, and starts it again after `pause`.
    pub(super) async fn replace(&self, name: &str, pause: Duration) -> anyhow::Result<()> {
        self.signal(name, Signal::KILL)?;
        self.ended(name).await?;
        sleep(pause).await;
        self.start(name).await
    }

    /// Waits until a process is ready.
    pub(super) async fn ready(&self, name: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready(name).await {
            ensure!(Instant::now() < deadline, "{name} is not ready again");
            // What can't start for now gives up, and whoever runs it tries again.
            if self.control.ended(name).await?.is_some() {
                self.launch(name).await?;
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn is_ready(&self, name: &str) -> bool {
        let index = |prefix| {
            name.strip_prefix(prefix)?
                .parse::<usize>()
                .ok()?
                .checked_sub(1)
        };
        let gateway = index("g").and_then(|i| self.endpoints.gateways.get(i));
        let store = index("s").and_then(|i| self.endpoints.stores.get(i));
        let admin_url = gateway
            .map(|gateway| &gateway.admin_url)
            .or(store.map(|store| &store.admin_url));
        let mut monitors = self.nats_monitors();
        let monitor = monitors.find_map(|(broker, url)| (broker == name).then_some(url));
        let page = admin_url
            .map(|url| format!("{url}/readyz"))
            .or(monitor.map(|url| format!("{url}/healthz")));
        if let Some(url) = page {
            let answer = self
                .http
                .get(url)
                .timeout(Duration::from_secs(2))
                .send()
                .await;
            return answer.is_ok_and(|answer| answer.status().is_success());
        }
        if name == "postgres" {
            let ask = sqlx::query("SELECT 1").execute(&self.database);
            return tokio::time::timeout(Duration::from_secs(2), ask)
                .await
                .is_ok_and(|answer| answer.is_ok());
        }
        let url = match name {
            "redis" => &self.endpoints.redis.url,
            _ => &self.endpoints.public,
        };
        let Some((_, address)) = url.split_once("://") else {
            return false;
        };
        TcpStream::connect(address).await.is_ok()
    }
}

/// Returns the URL of Postgres as it is at another port of loopback.
#[must_use]
pub fn at_port(url: &str, port: u16) -> Option<String> {
    let (login, place) = url.rsplit_once('@')?;
    let (_, database) = place.split_once('/')?;
    Some(format!("{login}@127.0.0.1:{port}/{database}"))
}

fn send(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.context("no such process")?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

/// Returns the processes whose parent is `pid`; none where the system does not tell.
fn children_of(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut children = Vec::new();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Ok(children);
    };
    for entry in processes {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // The name of the program is in brackets and may hold anything.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(pid) {
            children.push(child);
        }
    }
    Ok(children)
}
