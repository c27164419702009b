//! A load on somebody's own deployment: connections, conversations at a rate of messages, calls. What
//! is lost, doubled or out of order, and how late the rest is.
//!
//! `cargo xtask loadtest` runs this. It speaks the dialect `consult` with the stock client's habits:
//! it comes back where it was, and repeats what was not confirmed under its key. It ends no process.

mod log;
mod page;
mod ring;
mod stream;
mod summary;
mod talk;
mod target;

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream as streams};
use tokio::task::JoinSet;

use self::{
    log::{Log, Seen},
    summary::{Settings, Summary},
    talk::{Beat, Outcome},
    target::Target,
};
use crate::{device::Device, users::Pair};

/// How many sockets connect at once.
const CONNECTING: usize = 32;
/// Between the last connection and the first message.
const BREATH: Duration = Duration::from_secs(1);

/// A load, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// The file that `cargo xtask up --endpoints` wrote: users and conversations are made there.
    #[arg(long, required_unless_present = "url", conflicts_with = "url")]
    endpoints: Option<PathBuf>,
    /// Where clients of another deployment connect: `https://chat.example.org`.
    #[arg(long, requires = "pairs")]
    url: Option<String>,
    /// Conversations of its app, which must speak `consult`, with tokens that outlive the run:
    /// `[{"conversation": ID, "consultant": {"id": ID, "token": T}, "patient": {"id": ID, "token": T}}]`.
    #[arg(long, requires = "url")]
    pairs: Option<PathBuf>,
    /// Conversations that carry messages, each between two sockets.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    conversations: u32,
    /// Further sockets, which only are there. The limit on open files must allow as many.
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// Messages a second, over all conversations together; a deployment limits each user.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Calls a minute, one at a time; 0 for none.
    #[arg(long, default_value_t = 30)]
    calls: u32,
    /// How long messages are sent.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where to put `report.txt`, `report.json` and `report.html`.
    #[arg(long, default_value = "target/loadtest")]
    report: PathBuf,
}

/// Puts the load on, and writes the report. Returns whether nothing was lost, doubled or out of order.
pub(crate) async fn run(args: &LoadArgs) -> anyhow::Result<bool> {
    let n_pairs = usize::try_from(args.conversations)?;
    let target = match (&args.endpoints, &args.url, &args.pairs) {
        (Some(endpoints), ..) => Target::made(endpoints, n_pairs, args.connections).await?,
        (None, Some(url), Some(pairs)) => Target::listed(url, pairs, n_pairs)?,
        _ => anyhow::bail!("--endpoints, or --url with --pairs"),
    };
    let log = Arc::new(Log::new());
    summary::tell(&format!(
        "connecting {} sockets to {}",
        2 * target.pairs.len() + args.connections,
        target.url
    ));
    let mut idle = connect_idle(&log, &target, args.connections).await;
    let people = connect_pairs(&log, &target).await?;

    let start = tokio::time::Instant::now() + BREATH;
    let end = start + Duration::from_secs(args.seconds);
    let n = u32::try_from(people.len())?;
    let period = Duration::from_secs(1) * n / args.rate;
    let mut talks = JoinSet::new();
    for (i, (pair, devices)) in (0_u32..).zip(people) {
        let first = start + period * i / n;
        talks.spawn(talk::talk(
            Arc::clone(&log),
            pair,
            devices,
            Beat { first, period, end },
        ));
    }
    let mut calls = JoinSet::new();
    if 0 < args.calls {
        let period = Duration::from_mins(1) / args.calls;
        let (log, url) = (Arc::clone(&log), target.url.clone());
        calls.spawn(ring::ring(log, url, target.pairs.clone(), period, end));
    }

    let outcome = tokio::select! {
        outcome = finish(&mut talks) => outcome?,
        never = show(&log) => match never {},
    };
    while calls.join_next().await.is_some() {}
    idle.shutdown().await;

    let settings = Settings {
        conversations: n,
        connections: args.connections,
        rate: args.rate,
        calls: args.calls,
        seconds: args.seconds,
    };
    let summary = Summary::new(&target.url, settings, &log, outcome);
    summary.write(&args.report)?;
    Ok(summary.is_right())
}

async fn connect_idle(log: &Arc<Log>, target: &Target, n: usize) -> JoinSet<()> {
    let mut idle = JoinSet::new();
    let mut opened = streams::iter(target.idle.iter().cycle().take(n))
        .map(|token| open(log, &target.url, token))
        .buffer_unordered(CONNECTING);
    while let Some(device) = opened.next().await {
        match device {
            Ok(device) => {
                idle.spawn(stay(device, Arc::clone(log)));
            }
            Err(error) => {
                log.note(Seen::Failed);
                summary::tell(&format!("a socket could not connect: {error:#}"));
            }
        }
    }
    idle
}

async fn connect_pairs(
    log: &Arc<Log>,
    target: &Target,
) -> anyhow::Result<Vec<(Pair, [Device; 2])>> {
    let opened = streams::iter(target.pairs.iter().cloned()).map(async |pair| {
        let writer = open(log, &target.url, &pair.patient.token).await?;
        let listener = open(log, &target.url, &pair.consultant.token).await?;
        anyhow::Ok((pair, [writer, listener]))
    });
    let opened: Vec<_> = opened.buffer_unordered(CONNECTING).collect().await;
    opened.into_iter().collect()
}

async fn open(log: &Log, url: &str, token: &str) -> anyhow::Result<Device> {
    let started = Instant::now();
    let device = Device::open(url, token).await?;
    log.note(Seen::Connected(started.elapsed()));
    Ok(device)
}

/// Is there, and nothing else.
async fn stay(mut device: Device, log: Arc<Log>) {
    loop {
        match device.next().await {
            Ok(Some(_)) => {}
            Ok(None) => match device.come_back().await {
                Ok(back) => log.note(Seen::Back {
                    away: back.away,
                    is_recovered: back.is_recovered,
                }),
                Err(_) => return log.note(Seen::Failed),
            },
            Err(_) => return log.note(Seen::Failed),
        }
    }
}

async fn finish(talks: &mut JoinSet<anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    let mut all = Outcome::default();
    while let Some(ended) = talks.join_next().await {
        let one = ended??;
        all.lost += one.lost;
        all.doubled += one.doubled;
        all.out_of_order += one.out_of_order;
        all.unconfirmed += one.unconfirmed;
    }
    Ok(all)
}

/// Tells every second how it goes. Runs until dropped.
async fn show(log: &Log) -> Infallible {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let seconds = log.seconds();
        // The last is not over.
        if let Some(second) = seconds.len().checked_sub(2).and_then(|n| seconds.get(n)) {
            summary::tell(&summary::line(seconds.len() - 1, second));
        }
    }
}
