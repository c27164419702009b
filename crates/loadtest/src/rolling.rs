//! A rolling restart under load: every replica is asked to end in turn and is started again.
//!
//! Asking is done here; whoever started the system (`cargo xtask bench`) starts again what has ended.
//! What clients notice is counted: how long they are away, how many come back at once, how late
//! messages get, and whether any is lost or doubled.

mod guest;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use rustix::process::{Pid, Signal};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use self::guest::Guest;
use crate::{
    endpoints::Endpoints,
    latency::quantile,
    machine,
    report::Report,
    users::{Pair, User},
};

/// Sockets that do nothing but be there.
const IDLE: usize = 1_000;
/// Conversations in which somebody writes.
const TALKING: usize = 50;
/// How long it is quiet before the first replica ends, and after the last has come back.
const QUIET: Duration = Duration::from_secs(8);
/// How long a replica may take to end, and to be there again.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(50);

/// What clients noticed; times are since the run began.
#[derive(Default)]
struct Noticed {
    /// When somebody was back, and after how long.
    returns: Vec<(Duration, Duration)>,
    /// When a message was first sent, by its key.
    sent: HashMap<String, Duration>,
    /// Those that were confirmed.
    confirmed: usize,
    /// When the other side heard it, and how often.
    heard: HashMap<String, (Duration, usize)>,
}

/// The run as every client sees it.
struct Run {
    started: Instant,
    url: String,
    noticed: Mutex<Noticed>,
}

impl Run {
    fn note<T>(&self, note: impl FnOnce(&mut Noticed, Duration) -> T) -> T {
        let now = self.started.elapsed();
        let mut noticed = self
            .noticed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        note(&mut noticed, now)
    }
}

/// Restarts every store and gateway while clients are connected through the load balancer.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
) -> anyhow::Result<()> {
    report.progress("restarting every replica in turn");
    let run = Arc::new(Run {
        started: Instant::now(),
        url: endpoints.public.clone(),
        noticed: Mutex::default(),
    });
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for pair in pairs.iter().take(TALKING) {
        // The one who hears first: nobody hears what was said before.
        let receiver = Guest::open(&run, &pair.consultant, &stopped).await?;
        clients.spawn(receiver.hear());
        let sender = Guest::open(&run, &pair.patient, &stopped).await?;
        clients.spawn(sender.talk(pair.conversation.clone()));
    }
    let secret = endpoints.secret("consult")?;
    for _ in 0..IDLE {
        let user = User::new(secret, "patient")?;
        let guest = Guest::open(&run, &user, &stopped).await?;
        clients.spawn(guest.hear());
    }

    let begun = tokio::select! {
        restarted = restart_all(endpoints, &run) => restarted?,
        Some(ended) = clients.join_next() => {
            ended??;
            anyhow::bail!("a client ended by itself");
        }
    };
    stop.send_replace(true);
    while let Some(ended) = timeout(PATIENCE, clients.join_next())
        .await
        .context("clients did not finish what they began")?
    {
        ended??;
    }
    run.note(|noticed, _| tell(report, noticed, begun))
}

/// Asks one replica after the other to end, and waits until it is back. Returns when it began.
async fn restart_all(endpoints: &Endpoints, run: &Run) -> anyhow::Result<Duration> {
    tokio::time::sleep(QUIET).await;
    let begun = run.started.elapsed();
    let stores = endpoints.stores.iter();
    let gateways = endpoints.gateways.iter();
    let replicas = stores
        .map(|store| (store.pid, &store.admin_url))
        .chain(gateways.map(|gateway| (gateway.pid, &gateway.admin_url)));
    for (pid, admin_url) in replicas {
        let process = Pid::from_raw(i32::try_from(pid)?).context("a process without id")?;
        rustix::process::kill_process(process, Signal::TERM)?;
        timeout(PATIENCE, ended(pid))
            .await
            .context("a replica did not end")?;
        timeout(PATIENCE, ready(admin_url))
            .await
            .context("a replica did not come back")?;
    }
    tokio::time::sleep(QUIET).await;
    Ok(begun)
}

async fn ended(pid: u32) {
    while machine::cpu_seconds(pid).is_ok() {
        tokio::time::sleep(POLL).await;
    }
}

async fn ready(admin_url: &str) {
    let url = format!("{admin_url}/readyz");
    while !reqwest::get(&url)
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        tokio::time::sleep(POLL).await;
    }
}

fn tell(report: &mut Report, noticed: &Noticed, begun: Duration) -> anyhow::Result<()> {
    // The first connections are no returns.
    let returns = noticed.returns.iter().filter(|(at, _)| begun <= *at);
    let mut away = Histogram::<u64>::new(3)?;
    let mut by_second = HashMap::<u64, usize>::new();
    for (at, after) in returns {
        away.record(u64::try_from(after.as_micros())?)?;
        *by_second.entry(at.as_secs()).or_default() += 1;
    }
    let most = by_second.values().max().copied().unwrap_or_default();

    let (mut before, mut during) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    let (mut n_lost, mut n_doubled) = (0, 0);
    for (key, sent) in &noticed.sent {
        match noticed.heard.get(key) {
            None => n_lost += 1,
            Some((heard, times)) => {
                n_doubled += times - 1;
                let late = u64::try_from(heard.saturating_sub(*sent).as_micros())?;
                let histogram = if *sent < begun {
                    &mut before
                } else {
                    &mut during
                };
                histogram.record(late)?;
            }
        }
    }
    ensure!(
        n_lost == 0 && n_doubled == 0,
        "{n_lost} messages lost and {n_doubled} doubled in a rolling restart"
    );
    report.add(
        "rolling restart of all replicas: clients away",
        format!(
            "p50 {:.1} s, p99 {:.1} s, at most {:.1} s",
            quantile(&away, 0.5) / 1e3,
            quantile(&away, 0.99) / 1e3,
            quantile(&away, 1.0) / 1e3
        ),
        format!(
            "{} returns of {} clients, at most {most} a second; the stock client waits 0.5 to 1.5 s; \
             budget 5 s",
            away.len(),
            IDLE + 2 * TALKING
        ),
    );
    report.add(
        "rolling restart: first sent -> heard by the other side",
        format!(
            "p50 {:.1} ms, p99 {:.0} ms; 0 of {} lost, 0 doubled",
            quantile(&during, 0.5),
            quantile(&during, 0.99),
            noticed.confirmed
        ),
        format!("p99 {:.0} ms before it", quantile(&before, 0.99)),
    );
    Ok(())
}
