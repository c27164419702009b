//! A client that comes back as the stock one does, and goes on where it was.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::client::Client;

/// How long the stock client waits for a connection before it tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may be silent: a ping interval and a ping timeout.
const SILENCE: Duration = Duration::from_secs(45);
/// The stock client's first pause and its longest one, each give or take a half.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

static DEVICES: AtomicUsize = AtomicUsize::new(0);

/// One client with what it keeps over connections.
pub(crate) struct Device {
    url: String,
    token: String,
    number: usize,
    client: Client,
    pid: Option<String>,
    offset: Option<String>,
}

/// An event: its name and its first argument.
pub(crate) type Event = (String, Value);

/// How a device came back.
pub(crate) struct Return {
    /// How long it was away.
    pub(crate) away: Duration,
    /// Whether everything that it missed comes by itself.
    pub(crate) is_recovered: bool,
}

/// The body of CONNECT's answer.
#[derive(Deserialize)]
struct Connected {
    pid: Option<String>,
}

impl Device {
    /// Connects for the first time.
    ///
    /// # Errors
    ///
    /// Returns why it could not.
    pub(crate) async fn open(url: &str, token: &str) -> anyhow::Result<Self> {
        let auth = json!({ "token": token }).to_string();
        let opening = timeout(CONNECT_TIMEOUT, Client::open(url, &auth));
        let (client, answer) = opening.await.context("connecting took too long")??;
        let Connected { pid } = serde_json::from_str(&answer)?;
        Ok(Self {
            url: url.to_owned(),
            token: token.to_owned(),
            number: DEVICES.fetch_add(1, Ordering::Relaxed),
            client,
            pid,
            offset: None,
        })
    }

    /// Returns a number that no other device of this process has.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }

    /// Emits an event; `argument` is JSON. Whether the connection is gone shows at the next read.
    pub(crate) async fn emit(&mut self, event: &str, argument: &str) {
        drop(self.client.emit(event, argument).await);
    }

    /// Returns the next event; `None` when the connection is gone. Cancelling it loses nothing.
    ///
    /// # Errors
    ///
    /// Returns that the server sent it away, or said what cannot be read.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            let Ok(Ok(packet)) = timeout(SILENCE, self.client.next()).await else {
                return Ok(None);
            };
            let Some(event) = packet.strip_prefix("42/chat,") else {
                ensure!(!packet.starts_with("41"), "a client was sent away");
                continue;
            };
            let mut event: Vec<Value> = serde_json::from_str(event)?;
            if self.pid.is_some()
                && let [_, _, .., Value::String(offset)] = event.as_slice()
            {
                self.offset = Some(offset.clone());
            }
            if let [Value::String(name), body, ..] = event.as_mut_slice() {
                return Ok(Some((std::mem::take(name), body.take())));
            }
        }
    }

    /// Connects again, again and again with the pauses of the stock client.
    ///
    /// # Errors
    ///
    /// Returns that the server answered what cannot be read.
    pub(crate) async fn come_back(&mut self) -> anyhow::Result<Return> {
        let gone = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause.mul_f64(self.jitter(gone))).await;
            let auth = match (&self.pid, &self.offset) {
                (Some(pid), Some(offset)) => {
                    json!({"token": self.token, "pid": pid, "offset": offset})
                }
                (Some(pid), None) => json!({"token": self.token, "pid": pid}),
                _ => json!({"token": self.token}),
            };
            let auth = auth.to_string();
            let opening = Client::open(&self.url, &auth);
            let Ok(Ok((client, answer))) = timeout(CONNECT_TIMEOUT, opening).await else {
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            };
            let Connected { pid } = serde_json::from_str(&answer)?;
            let is_recovered = pid.is_some() && pid == self.pid;
            if !is_recovered {
                self.offset = None;
            }
            (self.client, self.pid) = (client, pid);
            return Ok(Return {
                away: gone.elapsed(),
                is_recovered,
            });
        }
    }

    /// From 0.5 to 1.5, spread over the devices and different each time.
    fn jitter(&self, gone: Instant) -> f64 {
        let nanos = gone.elapsed().subsec_nanos();
        let spread = u64::from(nanos) ^ (self.number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let part = u32::try_from(spread % 1_000).unwrap_or_default();
        0.5 + f64::from(part) / 1_000.0
    }
}
