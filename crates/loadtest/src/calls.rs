//! Calls: how soon the other side rings, how exactly ringing ends, and what a decision costs Redis.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::Client,
    endpoints::{Endpoints, Store},
    latency::{check, quantile, sides},
    report::Report,
    users::Pair,
};

/// How many calls ring until they end by themselves.
const UNANSWERED: usize = 20;
/// How long a call rings, unless its app says otherwise.
const RING: Duration = Duration::from_secs(45);
/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures all of it; ends the last store while calls ring, if there are others.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
) -> anyhow::Result<()> {
    report.progress("setting calls up");
    set_up(report, endpoints, pairs).await?;
    redis(report, endpoints).await?;

    report.progress("letting calls ring");
    ring_out(report, endpoints, pairs, None).await?;
    if let [_, .., last] = endpoints.stores.as_slice() {
        report.progress("letting calls ring, and ending a store meanwhile");
        ring_out(report, endpoints, pairs, Some(last)).await?;
    }
    Ok(())
}

/// The two ends of a conversation, on two gateways.
struct Line<'a> {
    pair: &'a Pair,
    caller: Client,
    callee: Client,
}

impl<'a> Line<'a> {
    async fn open(endpoints: &Endpoints, pair: &'a Pair) -> anyhow::Result<Self> {
        let [near, far] = sides(&endpoints.gateways, 0)?;
        Ok(Self {
            pair,
            caller: Client::connect(near, &pair.patient.token).await?,
            callee: Client::connect(far, &pair.consultant.token).await?,
        })
    }

    async fn initiate(&mut self) -> anyhow::Result<()> {
        let Pair {
            conversation,
            consultant,
            ..
        } = self.pair;
        let call = format!(
            "{{\"toUserId\":\"{}\",\"conversationId\":\"{conversation}\",\"callType\":\"video\"}}",
            consultant.id
        );
        self.caller.emit("call:initiate", &call).await
    }
}

async fn set_up(report: &mut Report, endpoints: &Endpoints, pairs: &[Pair]) -> anyhow::Result<()> {
    let (mut rings, mut messages) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    // One call each: how often one user may call is limited.
    for pair in pairs {
        let mut line = Line::open(endpoints, pair).await?;
        let started = Instant::now();
        line.initiate().await?;
        heard(&mut line.callee, "call:incoming", PATIENCE).await?;
        rings.record(micros(started.elapsed())?)?;
        let end = format!("{{\"toUserId\":\"{}\"}}", pair.consultant.id);
        line.caller.emit("call:end", &end).await?;
        heard(&mut line.callee, "call:ended", PATIENCE).await?;

        let conversation = &pair.conversation;
        let message = format!(
            "{{\"conversationId\":\"{conversation}\",\"content\":\"x\",\"senderType\":\"patient\"}}"
        );
        let started = Instant::now();
        line.caller.emit("send_message", &message).await?;
        heard(&mut line.callee, "\"content\":\"x\"", PATIENCE).await?;
        messages.record(micros(started.elapsed())?)?;
    }
    report.add(
        "ring set-up: initiate -> incoming on the other gateway",
        format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            quantile(&rings, 0.5),
            quantile(&rings, 0.99)
        ),
        format!(
            "a message on the same way in turn: p50 {:.1} ms, p99 {:.1} ms",
            quantile(&messages, 0.5),
            quantile(&messages, 0.99)
        ),
    );
    Ok(())
}

/// Lets calls ring until they end by themselves.
async fn ring_out(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
    ended: Option<&Store>,
) -> anyhow::Result<()> {
    let lines = pairs.iter().take(UNANSWERED);
    let lines = try_join_all(lines.map(|pair| Line::open(endpoints, pair))).await?;
    let ringing = try_join_all(lines.into_iter().map(|mut line| async move {
        let started = Instant::now();
        line.initiate().await?;
        heard(&mut line.callee, "call:incoming", PATIENCE).await?;
        anyhow::Ok((line, started))
    }))
    .await?;
    if let Some(store) = ended {
        tokio::time::sleep(RING / 2).await;
        end(store.pid)?;
    }
    let mut late = try_join_all(ringing.into_iter().map(|(mut line, started)| async move {
        heard(&mut line.caller, "call:no-answer", RING + PATIENCE).await?;
        let rang = started.elapsed();
        ensure!(RING <= rang, "a call ended before its time");
        anyhow::Ok(rang.saturating_sub(RING))
    }))
    .await?;
    late.sort();
    let at = |index: usize| late.get(index).copied().unwrap_or_default();
    let which = if ended.is_some() {
        ", a store killed meanwhile"
    } else {
        ""
    };
    report.add(
        &format!(
            "lateness of no answer after 45 s, {} calls{which}",
            late.len()
        ),
        format!(
            "median {:.0} ms, worst {:.0} ms",
            at(late.len() / 2).as_secs_f64() * 1e3,
            at(late.len() - 1).as_secs_f64() * 1e3
        ),
        "promised within 1 000 ms".to_owned(),
    );
    Ok(())
}

fn end(pid: u32) -> anyhow::Result<()> {
    let status = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()?;
    ensure!(status.success(), "cannot end the store");
    Ok(())
}

/// Reads off Redis what one function call took it on average.
async fn redis(report: &mut Report, endpoints: &Endpoints) -> anyhow::Result<()> {
    let address = endpoints.redis.url.trim_start_matches("redis://");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"INFO commandstats\r\nQUIT\r\n").await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    let cost = |command: &str| {
        let prefix = format!("cmdstat_{command}:");
        let line = answer.lines().find_map(|line| line.strip_prefix(&prefix))?;
        line.split(',')
            .find_map(|field| field.strip_prefix("usec_per_call="))
    };
    report.add(
        "one decision about a call, in Redis",
        format!("{} µs", cost("fcall").context("no decision was made")?),
        format!("{} µs for XADD alone", cost("xadd").unwrap_or("?")),
    );
    Ok(())
}

/// Waits for a packet that holds `part`.
async fn heard(client: &mut Client, part: &str, patience: Duration) -> anyhow::Result<()> {
    let wait = async {
        loop {
            let packet = client.next().await?;
            check(&packet)?;
            if packet.contains(part) {
                return anyhow::Ok(());
            }
        }
    };
    timeout(patience, wait)
        .await
        .with_context(|| format!("no {part} came"))?
}

fn micros(elapsed: Duration) -> anyhow::Result<u64> {
    Ok(u64::try_from(elapsed.as_micros())?)
}
