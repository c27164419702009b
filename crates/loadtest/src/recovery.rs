//! A client that comes back: how soon it has everything that it missed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{client::Client, endpoints::Endpoints, latency::sides, report::Report, users::Pair};

/// How many messages a client misses.
const MISSED: usize = 1_000;
/// From how many sockets they are sent: how much one may send at once is limited.
const SENDERS: usize = 4;
/// How many are under way from one of them.
const WINDOW: usize = 25;
/// How many clients miss them, one after the other.
const CLIENTS: usize = 9;
/// The most messages of a page of history.
const PAGE: usize = 200;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Measures clients that come back to another gateway, each beside the same range read by REST.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
) -> anyhow::Result<()> {
    report.progress("letting clients come back");
    let (mut recovered, mut read) = (Vec::new(), Vec::new());
    for (n, pair) in pairs.iter().rev().take(CLIENTS).enumerate() {
        let run = come_back(endpoints, n, pair);
        let (by_recovery, by_rest) = timeout(PATIENCE, run)
            .await
            .context("a client did not get what it missed")??;
        recovered.push(by_recovery);
        read.push(by_rest);
    }
    report.add(
        &format!("reconnect -> {MISSED} missed messages, at another gateway"),
        format!("p50 {:.1} ms", median(&mut recovered)),
        format!(
            "the same messages by REST, {PAGE} a page: p50 {:.1} ms; budget 50 ms",
            median(&mut read)
        ),
    );
    Ok(())
}

/// The body of CONNECT's answer.
#[derive(Deserialize)]
struct Connected {
    pid: String,
}

async fn come_back(
    endpoints: &Endpoints,
    n: usize,
    pair: &Pair,
) -> anyhow::Result<(Duration, Duration)> {
    let [near, far] = sides(&endpoints.gateways, n)?;
    let token = &pair.patient.token;
    let (client, answer) = Client::open(near, &format!("{{\"token\":\"{token}\"}}")).await?;
    let Connected { pid } = serde_json::from_str(&answer)?;
    drop(client);
    for _ in 0..SENDERS {
        send(far, pair).await?;
    }

    let started = Instant::now();
    let auth = format!("{{\"token\":\"{token}\",\"pid\":\"{pid}\"}}");
    let (mut client, answer) = Client::open(far, &auth).await?;
    ensure!(answer.contains(&pid), "the session was not recovered");
    let mut n_heard = 0;
    while n_heard < MISSED {
        n_heard += usize::from(client.next().await?.contains("[\"new_message\""));
    }
    let recovered = started.elapsed();

    Ok((recovered, read(endpoints, pair).await?))
}

/// Sends a part of the messages, and returns when they are confirmed.
async fn send(url: &str, pair: &Pair) -> anyhow::Result<()> {
    let mut sender = Client::connect(url, &pair.consultant.token).await?;
    let conversation = &pair.conversation;
    let message = format!(
        "{{\"conversationId\":\"{conversation}\",\"content\":\"missed\",\"senderType\":\"consultant\"}}"
    );
    let (mut n_sent, mut n_confirmed) = (0, 0);
    while n_confirmed < MISSED / SENDERS {
        if n_sent < MISSED / SENDERS && n_sent < n_confirmed + WINDOW {
            sender.emit("send_message", &message).await?;
            n_sent += 1;
            continue;
        }
        let packet = sender.next().await?;
        ensure!(!packet.contains("[\"error\""), "{packet}");
        n_confirmed += usize::from(packet.contains("[\"message_sent\""));
    }
    Ok(())
}

/// Reads the newest messages page by page, as many as were missed.
async fn read(endpoints: &Endpoints, pair: &Pair) -> anyhow::Result<Duration> {
    let http = reqwest::Client::builder().build()?;
    let url = format!(
        "{}/api/v1/chat/conversations/{}/messages",
        endpoints.public, pair.conversation
    );
    let started = Instant::now();
    for page in 0..MISSED / PAGE {
        let response = http
            .get(&url)
            .query(&[("limit", PAGE), ("offset", page * PAGE)])
            .bearer_auth(&pair.patient.token)
            .send()
            .await?
            .error_for_status()?;
        response.bytes().await?;
    }
    Ok(started.elapsed())
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64() * 1_000.0
}
