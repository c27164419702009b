//! A client that comes back as the stock one does, and goes on where it was.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::Run;
use crate::{client::Client, users::User};

/// How often a talker says something.
const EVERY: Duration = Duration::from_millis(250);
/// How long the stock client waits for a connection before it tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The stock client's first pause and its longest one, each give or take a half.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a receiver stays after the last message was sent.
const LINGER: Duration = Duration::from_secs(5);

static DEVICES: AtomicUsize = AtomicUsize::new(0);

/// One client with what it keeps over connections.
pub(super) struct Device {
    run: Arc<Run>,
    token: String,
    number: usize,
    pid: Option<String>,
    offset: Option<String>,
    stopped: watch::Receiver<bool>,
    /// What was sent and is not confirmed, by key.
    unconfirmed: BTreeMap<String, String>,
    /// Something was not taken: everything unconfirmed is sent again.
    is_refused: bool,
}

/// The body of CONNECT's answer.
#[derive(Deserialize)]
struct Connected {
    pid: String,
}

impl Device {
    /// Connects a client for `user`.
    pub(super) async fn open(
        run: &Arc<Run>,
        user: &User,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<(Self, Client)> {
        let mut device = Self {
            run: Arc::clone(run),
            token: user.token.clone(),
            number: DEVICES.fetch_add(1, Ordering::Relaxed),
            pid: None,
            offset: None,
            stopped: stopped.clone(),
            unconfirmed: BTreeMap::new(),
            is_refused: false,
        };
        let client = device.connect().await?;
        Ok((device, client))
    }

    /// Is there, and hears what comes, until the run is over.
    pub(super) async fn hear(mut self, mut client: Client) -> anyhow::Result<()> {
        let mut stopped = self.stopped.clone();
        while !*stopped.borrow_and_update() {
            let packet = tokio::select! {
                packet = client.next() => packet,
                changed = stopped.changed() => {
                    changed?;
                    continue;
                }
            };
            match packet {
                Ok(packet) => self.take(&packet)?,
                Err(_) => client = self.come_back().await?,
            }
        }
        // Messages may still be under way, and so may another connection.
        let deadline = Instant::now() + LINGER;
        while let Ok(packet) = timeout(
            deadline.saturating_duration_since(Instant::now()),
            client.next(),
        )
        .await
        {
            self.take(&packet?)?;
        }
        Ok(())
    }

    /// Says something now and then until the run is over, and repeats it until it is confirmed.
    pub(super) async fn talk(
        mut self,
        mut client: Client,
        conversation: String,
    ) -> anyhow::Result<()> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut n_sent = 0;
        loop {
            let is_over = *self.stopped.borrow();
            if is_over && self.unconfirmed.is_empty() {
                return Ok(());
            }
            tokio::select! {
                packet = client.next() => if let Ok(packet) = packet {
                    self.take(&packet)?;
                } else {
                    client = self.come_back().await?;
                    self.repeat(&mut client).await;
                },
                _ = ticks.tick() => {
                    if std::mem::take(&mut self.is_refused) {
                        self.repeat(&mut client).await;
                    }
                    if is_over {
                        continue;
                    }
                    n_sent += 1;
                    let key = format!("{}-{n_sent}", self.number);
                    let message = json!({
                        "conversationId": conversation, "content": format!("key:{key}"),
                        "senderType": "patient", "clientMessageId": key,
                    });
                    self.run.note(|noticed, now| {
                        noticed.sent.insert(key.clone(), now);
                    });
                    let emitted = client.emit("send_message", &message.to_string()).await;
                    self.unconfirmed.insert(key, message.to_string());
                    // Whether the connection is gone shows at the next read.
                    drop(emitted);
                }
            }
        }
    }

    /// Sends everything again that is not confirmed; a failure shows at the next read.
    async fn repeat(&self, client: &mut Client) {
        for message in self.unconfirmed.values() {
            if client.emit("send_message", message).await.is_err() {
                return;
            }
        }
    }

    async fn come_back(&mut self) -> anyhow::Result<Client> {
        let gone = Instant::now();
        let client = self.connect().await?;
        let away = gone.elapsed();
        self.run
            .note(|noticed, now| noticed.returns.push((now, away)));
        Ok(client)
    }

    /// Connects, again and again with the pauses of the stock client where it was connected before.
    async fn connect(&mut self) -> anyhow::Result<Client> {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.pid.is_some() {
                sleep(pause.mul_f64(self.jitter())).await;
            }
            let auth = match (&self.pid, &self.offset) {
                (Some(pid), Some(offset)) => {
                    json!({"token": self.token, "pid": pid, "offset": offset})
                }
                (Some(pid), None) => json!({"token": self.token, "pid": pid}),
                _ => json!({"token": self.token}),
            };
            let auth = auth.to_string();
            let opening = Client::open(&self.run.url, &auth);
            match timeout(CONNECT_TIMEOUT, opening).await {
                Ok(Ok((client, answer))) => {
                    let Connected { pid } = serde_json::from_str(&answer)?;
                    let is_recovered = self.pid.as_ref().is_none_or(|mine| *mine == pid);
                    ensure!(is_recovered, "a client came back and was not recovered");
                    self.pid = Some(pid);
                    return Ok(client);
                }
                Ok(Err(error)) if self.pid.is_none() => return Err(error),
                Ok(Err(_)) | Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// From 0.5 to 1.5, spread over the devices and different each time.
    fn jitter(&self) -> f64 {
        let nanos = self.run.started.elapsed().subsec_nanos();
        let spread = u64::from(nanos) ^ (self.number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let part = u32::try_from(spread % 1_000).unwrap_or_default();
        0.5 + f64::from(part) / 1_000.0
    }

    fn take(&mut self, packet: &str) -> anyhow::Result<()> {
        let Some(event) = packet.strip_prefix("42/chat,") else {
            ensure!(!packet.starts_with("41"), "a client was sent away");
            return Ok(());
        };
        let event: Vec<Value> = serde_json::from_str(event)?;
        if let [_, _, .., Value::String(offset)] = event.as_slice() {
            self.offset = Some(offset.clone());
        }
        let (name, body) = match event.as_slice() {
            [Value::String(name), body, ..] => (name.as_str(), body),
            _ => return Ok(()),
        };
        let key = || -> anyhow::Result<String> {
            let content = body.pointer("/message/content").and_then(Value::as_str);
            let key = content.and_then(|content| content.strip_prefix("key:"));
            Ok(key.context("a message without key")?.to_owned())
        };
        match name {
            "message_sent" => {
                // Once: a repeated one is confirmed twice.
                let is_first = self.unconfirmed.remove(&key()?).is_some();
                self.run
                    .note(|noticed, _| noticed.confirmed += usize::from(is_first));
            }
            // The sender hears its own, too.
            "new_message" if !self.is_own(&key()?) => {
                let key = key()?;
                self.run.note(|noticed, now| {
                    noticed.heard.entry(key).or_insert((now, 0)).1 += 1;
                });
            }
            "error" => {
                let code = body.get("code").and_then(Value::as_str).unwrap_or_default();
                ensure!(code == "unavailable", "a client was refused: {body}");
                self.is_refused = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_own(&self, key: &str) -> bool {
        key.split_once('-')
            .is_some_and(|(number, _)| number.parse() == Ok(self.number))
    }
}
