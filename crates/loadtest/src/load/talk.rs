//! One conversation: somebody writes at a rate, and repeats what is not confirmed; the other listens.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, interval_at, timeout, timeout_at},
};

use super::{
    log::{Log, Seen},
    stream::Stream,
};
use crate::{
    device::{Device, Event},
    users::Pair,
};

/// When a message is sent again under its key, and how often that is looked at.
const REPEAT: Duration = Duration::from_secs(5);
/// How long after the end confirmations, and then messages, are waited for.
const GRACE: Duration = Duration::from_secs(30);
/// How long a listener stays when it has everything, to hear what comes twice.
const LINGER: Duration = Duration::from_secs(1);

/// When messages are due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    pub(crate) first: tokio::time::Instant,
    pub(crate) period: Duration,
    pub(crate) end: tokio::time::Instant,
}

/// What became of messages.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Outcome {
    /// Confirmed, and never heard by the other side.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    /// Sent, and not confirmed within half a minute after the end.
    pub(crate) unconfirmed: u64,
}

/// Runs one conversation to its end. Both devices are connected by then.
pub(crate) async fn talk(
    log: Arc<Log>,
    pair: Pair,
    [writer, listener]: [Device; 2],
    beat: Beat,
) -> anyhow::Result<Outcome> {
    let (over, confirmed) = oneshot::channel();
    let mut writer = Writer {
        conversation: pair.conversation.clone(),
        device: writer,
        log: Arc::clone(&log),
        unconfirmed: BTreeMap::new(),
        confirmed: Vec::new(),
        n_sent: 0,
    };
    let mut listener = Listener {
        conversation: pair.conversation,
        device: listener,
        log,
        stream: Stream::default(),
    };
    let (written, listened) = tokio::join!(
        async {
            let written = writer.write(beat).await;
            // The listener goes on to its end, whoever still waits for it.
            drop(over.send(std::mem::take(&mut writer.confirmed)));
            written
        },
        listener.listen(confirmed),
    );
    written?;
    let confirmed = listened?;
    Ok(Outcome {
        lost: listener.stream.n_lost(&confirmed),
        doubled: listener.stream.n_doubled,
        out_of_order: listener.stream.n_disordered,
        unconfirmed: writer.unconfirmed.len() as u64,
    })
}

struct Writer {
    conversation: String,
    device: Device,
    log: Arc<Log>,
    /// By key: when it was due, and the message.
    unconfirmed: BTreeMap<String, (Instant, String)>,
    confirmed: Vec<u64>,
    n_sent: u64,
}

impl Writer {
    async fn write(&mut self, beat: Beat) -> anyhow::Result<()> {
        let mut ticks = interval_at(beat.first, beat.period);
        // Late messages go out at once: a slow server must not slow the clock it is measured with.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut repeats = interval(REPEAT);
        repeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_over = false;
        let deadline = beat.end + GRACE;
        while !(is_over && self.unconfirmed.is_empty()) {
            tokio::select! {
                due = ticks.tick(), if !is_over => if due < beat.end {
                    self.send(due.into_std()).await;
                } else {
                    is_over = true;
                },
                event = self.device.next() => self.take(event?).await?,
                _ = repeats.tick() => self.repeat(REPEAT).await,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        Ok(())
    }

    /// The time counts from when the message was due, so that waiting in here shows, too.
    async fn send(&mut self, due: Instant) {
        self.n_sent += 1;
        let micros = due
            .saturating_duration_since(self.log.started())
            .as_micros();
        let key = format!("load-{micros}-{}-{}", self.device.number(), self.n_sent);
        let message = json!({
            "conversationId": self.conversation,
            "content": format!("load test {micros}"),
            "senderType": "patient",
            "clientMessageId": key,
        });
        let message = message.to_string();
        self.log.note(Seen::Sent);
        self.device.emit("send_message", &message).await;
        self.unconfirmed.insert(key, (due, message));
    }

    /// Sends again what was due so long ago, under its key.
    async fn repeat(&mut self, age: Duration) {
        for (due, message) in self.unconfirmed.values() {
            if age <= due.elapsed() {
                self.device.emit("send_message", message).await;
            }
        }
    }

    async fn take(&mut self, event: Option<Event>) -> anyhow::Result<()> {
        match event {
            None => {
                come_back(&mut self.device, &self.log).await?;
                self.repeat(Duration::ZERO).await;
            }
            Some((name, body)) if name == "message_sent" => {
                let message = &body["message"];
                let key = message["clientMessageId"].as_str().unwrap_or_default();
                // A repeated one is confirmed twice.
                if let (Some((due, _)), Some(seq)) =
                    (self.unconfirmed.remove(key), message["seq"].as_u64())
                {
                    self.log.note(Seen::Confirmed(due.elapsed()));
                    self.confirmed.push(seq);
                }
            }
            Some((name, body)) if name == "error" => {
                self.log.refused(body["code"].as_str().unwrap_or("?"));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

struct Listener {
    conversation: String,
    device: Device,
    log: Arc<Log>,
    stream: Stream,
}

impl Listener {
    /// Listens until everything that was confirmed is there. Returns that.
    async fn listen(&mut self, confirmed: oneshot::Receiver<Vec<u64>>) -> anyhow::Result<Vec<u64>> {
        let mut confirmed = std::pin::pin!(confirmed);
        let confirmed = loop {
            tokio::select! {
                event = self.device.next() => self.take(event?).await?,
                confirmed = &mut confirmed => break confirmed?,
            }
        };
        let deadline = tokio::time::Instant::now() + GRACE;
        while 0 < self.stream.n_lost(&confirmed) {
            match timeout_at(deadline, self.device.next()).await {
                Ok(event) => self.take(event?).await?,
                Err(_) => break,
            }
        }
        while let Ok(event) = timeout(LINGER, self.device.next()).await {
            self.take(event?).await?;
        }
        Ok(confirmed)
    }

    async fn take(&mut self, event: Option<Event>) -> anyhow::Result<()> {
        let Some((name, body)) = event else {
            if !come_back(&mut self.device, &self.log).await? {
                self.catch_up().await;
            }
            return Ok(());
        };
        match name.as_str() {
            "new_message" => {
                let message = &body["message"];
                if message["conversationId"].as_str() == Some(&self.conversation)
                    && let Some(seq) = message["seq"].as_u64()
                    && self.stream.hear(seq)
                {
                    self.note(message);
                }
            }
            "sync_result" => {
                let of = body["conversations"].as_array().into_iter().flatten();
                let mut has_more = false;
                for part in of {
                    for message in part["messages"].as_array().into_iter().flatten() {
                        let seq = message["seq"].as_u64().unwrap_or_default();
                        if self.stream.read(seq) {
                            self.note(message);
                        }
                    }
                    has_more |= part["more"] == true;
                }
                if has_more {
                    self.catch_up().await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&self, message: &Value) {
        let content = message["content"].as_str().unwrap_or_default();
        let due = content.strip_prefix("load test ").map(str::parse::<u64>);
        if let Some(Ok(due)) = due {
            let now = self.log.started().elapsed();
            let late = now.saturating_sub(Duration::from_micros(due));
            self.log.note(Seen::Heard(late));
        }
    }

    /// Asks for what came while it was away.
    async fn catch_up(&mut self) {
        let since = json!({"since": {&self.conversation: self.stream.last()}});
        self.device.emit("sync", &since.to_string()).await;
    }
}

/// Returns whether everything that was missed comes by itself.
async fn come_back(device: &mut Device, log: &Log) -> anyhow::Result<bool> {
    let back = device.come_back().await?;
    log.note(Seen::Back {
        away: back.away,
        is_recovered: back.is_recovered,
    });
    Ok(back.is_recovered)
}
