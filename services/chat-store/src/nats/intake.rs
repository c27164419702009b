//! Reads the stream that other services write into, and takes what is in it.
//!
//! All replicas share one durable consumer. Something goes from the stream once it is taken; what
//! cannot be taken now comes again, later each time; what never can goes to the dead letters with the
//! reason, and the rest goes on. Nothing here waits for users, and no user for this.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, AckKind, Context, Message,
        consumer::{AckPolicy, Consumer, pull},
        stream::{self, DiscardPolicy, RetentionPolicy},
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use chat_domain::{AppId, BoxError, ChatError, ClientKey, ErrorKind};
use chat_proto::subject::{IN_ALL, IN_DEAD, IN_DEAD_STREAM, IN_STREAM, STORE_QUEUE, parse_in};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::inbound::{Refused, Written};
use crate::{app::Intake, metrics::Metric};

/// How long JetStream may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long one pull waits for something; the process needs that long to end, too.
const PULL: Duration = Duration::from_secs(1);
/// How long taking one thing may last; after twice that another replica may get it.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pause after the stream was out of reach.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long the stream knows what it has, so that what is written again is not there twice.
const DUPLICATES: Duration = Duration::from_mins(10);
/// The largest thing that another service may write.
const MAX_MESSAGE: i32 = 256 * 1024;
/// For how long dead letters are kept.
const DEAD_AGE: Duration = Duration::from_hours(14 * 24);
/// The bytes of dead letters that are kept; the oldest go first.
const DEAD_BYTES: i64 = 32 * 1024 * 1024;
/// The longest reason, in bytes.
const MAX_REASON: usize = 256;
/// Something that names what is not there yet is tried so often before it is dead: what it names may
/// be next in the stream. All tries take some eight seconds.
const TRIES: i64 = 6;
const FIRST_DELAY: Duration = Duration::from_millis(250);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// For how long after an outage nothing is dead for naming what is not there: that may be waiting.
const AFTERMATH: Duration = Duration::from_mins(1);

/// What the stream holds at most when it is made here, and how much is taken at a time.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain fields")]
pub struct InLimits {
    pub max_bytes: i64,
    pub in_flight: usize,
}

/// Reads the stream.
pub struct InReader {
    context: Context,
    limits: InLimits,
    worker: Arc<Worker>,
}

impl InReader {
    /// Reads over `client` and hands over to `intake`.
    #[must_use]
    pub fn new(client: Client, intake: Intake, limits: InLimits) -> Self {
        let mut context = jetstream::new(client);
        context.set_timeout(TIMEOUT);
        let worker = Worker {
            context: context.clone(),
            intake,
            outage: Mutex::new(Instant::now()),
        };
        Self {
            context,
            limits,
            worker: Arc::new(worker),
        }
    }

    /// Reads until `soft`, and returns when everything that was begun is done. Without JetStream it
    /// tries again and again.
    pub async fn run(self, soft: CancellationToken) {
        let in_flight = TaskTracker::new();
        let mut is_failing = false;
        while !soft.is_cancelled() {
            let Err(error) = self.read(&in_flight, &mut is_failing, &soft).await else {
                continue;
            };
            if !std::mem::replace(&mut is_failing, true) {
                tracing::warn!(
                    error = &*error as &dyn std::error::Error,
                    "JetStream gives nothing: other services are not heard over it"
                );
            }
            soft.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
        in_flight.close();
        in_flight.wait().await;
    }

    async fn read(
        &self,
        in_flight: &TaskTracker,
        is_failing: &mut bool,
        soft: &CancellationToken,
    ) -> Result<(), BoxError> {
        let consumer = timeout(TIMEOUT * 3, self.prepare()).await??;
        if std::mem::take(is_failing) {
            tracing::info!("other services are heard again");
        }
        let slots = Arc::new(Semaphore::new(self.limits.in_flight));
        while !soft.is_cancelled() {
            let pull = consumer.batch().max_messages(self.limits.in_flight);
            let mut batch = pull.expires(PULL).messages().await?;
            // What the server sent already would else wait until it is known to be lost.
            let over = async {
                soft.cancelled().await;
                sleep_until(Instant::now() + PULL).await;
            };
            tokio::pin!(over);
            loop {
                let message = tokio::select! {
                    message = batch.next() => message,
                    () = &mut over => None,
                };
                let Some(message) = message else { break };
                let message = message?;
                let slot = Arc::clone(&slots).acquire_owned().await?;
                let worker = Arc::clone(&self.worker);
                in_flight.spawn(async move {
                    worker.handle(&message).await;
                    drop(slot);
                });
            }
        }
        Ok(())
    }

    /// Makes sure that there are the streams and the consumer.
    async fn prepare(&self) -> Result<Consumer<pull::Config>, BoxError> {
        let dead = stream::Config {
            name: IN_DEAD_STREAM.to_owned(),
            description: Some("What other services wrote and care-chat could not take".to_owned()),
            subjects: vec![IN_DEAD.to_owned()],
            max_age: DEAD_AGE,
            max_bytes: DEAD_BYTES,
            duplicate_window: DUPLICATES,
            ..stream::Config::default()
        };
        self.context.get_or_create_stream(dead).await?;
        let config = stream::Config {
            name: IN_STREAM.to_owned(),
            description: Some("What other services tell care-chat".to_owned()),
            subjects: vec![IN_ALL.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            // Whoever writes more than that is told so, and nothing is lost.
            discard: DiscardPolicy::New,
            max_bytes: self.limits.max_bytes,
            max_message_size: MAX_MESSAGE,
            duplicate_window: DUPLICATES,
            ..stream::Config::default()
        };
        let stream = self.context.get_or_create_stream(config).await?;
        let config = pull::Config {
            durable_name: Some(STORE_QUEUE.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: DEADLINE * 2,
            max_ack_pending: 1_024,
            ..pull::Config::default()
        };
        Ok(stream.get_or_create_consumer(STORE_QUEUE, config).await?)
    }
}

/// Takes one thing at a time, in any order.
struct Worker {
    context: Context,
    intake: Intake,
    /// When something could not be taken that can be later; at first, when the process began.
    outage: Mutex<Instant>,
}

/// Why something was not taken.
enum Trouble {
    /// It never can be.
    Dead(String),
    /// It may be later.
    Later(ChatError),
}

impl From<Refused> for Trouble {
    fn from(Refused(reason): Refused) -> Self {
        Self::Dead(reason)
    }
}

impl Worker {
    async fn handle(&self, message: &Message) {
        let delivered = message.info().map_or(1, |info| info.delivered);
        let acknowledgement = match self.take(message, delivered).await {
            Ok(()) => {
                Metric::InTaken.increment();
                AckKind::Ack
            }
            Err(Trouble::Dead(reason)) => match self.bury(message, &reason).await {
                Ok(()) => AckKind::Ack,
                Err(_) => AckKind::Nak(Some(delay(delivered))),
            },
            Err(Trouble::Later(error)) => {
                Metric::InDelayed.increment();
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "something of another service is tried again later"
                );
                AckKind::Nak(Some(delay(delivered)))
            }
        };
        // If it does not arrive, the thing is taken again.
        let _ = message.ack_with(acknowledgement).await;
    }

    async fn take(&self, message: &Message, delivered: i64) -> Result<(), Trouble> {
        let (app, kind) = parse_in(&message.subject)
            .ok_or_else(|| Trouble::Dead("the subject names no kind".to_owned()))?;
        let app = AppId::new(app)
            .ok()
            .and_then(|id| self.intake.apps().get(&id));
        let app = app.ok_or_else(|| Trouble::Dead("there is no such app".to_owned()))?;
        let written = Written {
            kind,
            dialect: app.dialect,
            is_json: is_json(message),
            payload: message.payload.clone(),
            key: key(message)?,
        };
        let inbound = written.read()?;
        let taken = timeout(DEADLINE, self.intake.take(&app.id, inbound)).await;
        let Err(error) = taken.unwrap_or_else(|elapsed| {
            Err(ChatError::Unavailable {
                dependency: "chat-store",
                source: elapsed.into(),
            })
        }) else {
            return Ok(());
        };
        Err(self.judge(error, delivered))
    }

    /// Decides what becomes of something that a use case refused.
    fn judge(&self, error: ChatError, delivered: i64) -> Trouble {
        let is_early = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::RateLimited => {
                *self.outage.lock() = Instant::now();
                true
            }
            ErrorKind::NotFound | ErrorKind::Internal => {
                delivered < TRIES || self.outage.lock().elapsed() < AFTERMATH
            }
            ErrorKind::Invalid
            | ErrorKind::Unauthenticated
            | ErrorKind::Unauthorized
            | ErrorKind::Conflict
            | ErrorKind::TooLarge => false,
        };
        if is_early {
            return Trouble::Later(error);
        }
        if error.kind() == ErrorKind::Internal {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "something of another service is given up");
        }
        Trouble::Dead(error.to_string())
    }

    /// Keeps what cannot be taken where somebody can look at it.
    async fn bury(&self, message: &Message, reason: &str) -> Result<(), BoxError> {
        let info = message.info()?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, place(message)?);
        headers.insert("Chat-Reason", header_text(reason));
        headers.insert("Chat-Subject", header_text(&message.subject));
        for (name, as_name) in [
            ("Content-Type", "Content-Type"),
            ("Nats-Msg-Id", "Chat-Msg-Id"),
        ] {
            if let Some(value) = header(message, name) {
                headers.insert(as_name, header_text(value));
            }
        }
        let payload = message.payload.clone();
        let publishing = self.context.publish_with_headers(IN_DEAD, headers, payload);
        publishing.await?.await?;
        Metric::InDead.increment();
        tracing::warn!(
            sequence = info.stream_sequence,
            "something of another service makes no sense; it is with the dead letters"
        );
        Ok(())
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let headers = message.headers.as_ref()?;
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn is_json(message: &Message) -> bool {
    header(message, "Content-Type")
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Returns what makes it the same whenever it comes: its id, else its place in the stream.
fn key(message: &Message) -> Result<ClientKey, Trouble> {
    let id = header(message, "Nats-Msg-Id").map_or_else(|| place(message), |id| Ok(id.to_owned()));
    let id = id.map_err(|error| Trouble::Dead(error.to_string()))?;
    // Of any length, and whatever characters it has.
    let digest = Sha256::digest(id);
    let key = URL_SAFE_NO_PAD.encode(&digest[..24]);
    ClientKey::new(&key).map_err(|error| Trouble::Dead(error.to_string()))
}

/// Returns what is different for everything that was ever in a stream.
fn place(message: &Message) -> Result<String, BoxError> {
    let info = message.info()?;
    let at = info.published.unix_timestamp_nanos();
    Ok(format!("{}:{at}", info.stream_sequence))
}

/// Cuts a text to what a header may hold.
fn header_text(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut left = MAX_REASON;
    plain
        .take_while(|c| {
            let fits = c.len_utf8() <= left;
            left = left.saturating_sub(c.len_utf8());
            fits
        })
        .collect()
}

/// How long something waits that was delivered so often.
fn delay(delivered: i64) -> Duration {
    let doublings = u32::try_from(delivered.clamp(1, 8) - 1).unwrap_or(0);
    (FIRST_DELAY * 2_u32.pow(doublings)).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_never_for_ever() {
        assert_eq!(delay(0), FIRST_DELAY);
        assert_eq!(delay(1), FIRST_DELAY);
        assert_eq!(delay(3), FIRST_DELAY * 4);
        assert_eq!(delay(i64::MAX), MAX_DELAY);
    }

    #[test]
    fn a_header_holds_any_text_and_not_too_much() {
        assert_eq!(header_text("a\r\nb"), "a  b");
        assert_eq!(header_text(&"é".repeat(300)).len(), MAX_REASON);
    }
}
