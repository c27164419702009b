//! The two who are there during a rolling restart: who hears, and who says something now and then.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use super::Run;
use crate::{
    device::{Device, Event},
    users::User,
};

/// How often a talker says something.
const EVERY: Duration = Duration::from_millis(250);
/// How long a receiver stays after the last message was sent.
const LINGER: Duration = Duration::from_secs(5);

/// One client and what it notices.
pub(super) struct Guest {
    run: Arc<Run>,
    device: Device,
    stopped: watch::Receiver<bool>,
    /// What was sent and is not confirmed, by key.
    unconfirmed: BTreeMap<String, String>,
    /// Something was not taken: everything unconfirmed is sent again.
    is_refused: bool,
}

impl Guest {
    /// Connects a client for `user`.
    pub(super) async fn open(
        run: &Arc<Run>,
        user: &User,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            run: Arc::clone(run),
            device: Device::open(&run.url, &user.token).await?,
            stopped: stopped.clone(),
            unconfirmed: BTreeMap::new(),
            is_refused: false,
        })
    }

    /// Is there, and hears what comes, until the run is over.
    pub(super) async fn hear(mut self) -> anyhow::Result<()> {
        let mut stopped = self.stopped.clone();
        while !*stopped.borrow_and_update() {
            tokio::select! {
                event = self.device.next() => self.take(event?).await?,
                changed = stopped.changed() => changed?,
            }
        }
        // Messages may still be under way, and so may another connection.
        let deadline = Instant::now() + LINGER;
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(event) = timeout(left(), self.device.next()).await {
            self.take(event?).await?;
        }
        Ok(())
    }

    /// Says something now and then until the run is over, and repeats it until it is confirmed.
    pub(super) async fn talk(mut self, conversation: String) -> anyhow::Result<()> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut n_sent = 0;
        loop {
            let is_over = *self.stopped.borrow();
            if is_over && self.unconfirmed.is_empty() {
                return Ok(());
            }
            tokio::select! {
                event = self.device.next() => self.take(event?).await?,
                _ = ticks.tick() => {
                    if std::mem::take(&mut self.is_refused) {
                        self.repeat().await;
                    }
                    if is_over {
                        continue;
                    }
                    n_sent += 1;
                    let key = format!("{}-{n_sent}", self.device.number());
                    let message = json!({
                        "conversationId": conversation, "content": format!("key:{key}"),
                        "senderType": "patient", "clientMessageId": key,
                    });
                    let message = message.to_string();
                    self.run.note(|noticed, now| noticed.sent.insert(key.clone(), now));
                    self.device.emit("send_message", &message).await;
                    self.unconfirmed.insert(key, message);
                }
            }
        }
    }

    /// Sends everything again that is not confirmed.
    async fn repeat(&mut self) {
        for message in self.unconfirmed.values() {
            self.device.emit("send_message", message).await;
        }
    }

    async fn take(&mut self, event: Option<Event>) -> anyhow::Result<()> {
        let Some((name, body)) = event else {
            let back = self.device.come_back().await?;
            ensure!(
                back.is_recovered,
                "a client came back and was not recovered"
            );
            self.run
                .note(|noticed, now| noticed.returns.push((now, back.away)));
            self.repeat().await;
            return Ok(());
        };
        let key = || -> anyhow::Result<String> {
            let content = body.pointer("/message/content").and_then(Value::as_str);
            let key = content.and_then(|content| content.strip_prefix("key:"));
            Ok(key.context("a message without key")?.to_owned())
        };
        match name.as_str() {
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
            .is_some_and(|(number, _)| number.parse() == Ok(self.device.number()))
    }
}
