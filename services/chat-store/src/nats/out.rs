//! Publishes events for other services to JetStream, so that they outlive both sides.
//!
//! Nothing else waits for it, and nothing else fails with it: a server without JetStream, or one
//! that is away, is asked again and again, for as long as an event is worth that.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{self, Context, stream},
};
use chat_domain::{BoxError, ChatError, Timestamp};
use chat_proto::subject::{self, OUT_ALL, OUT_STREAM};
use futures_util::future::join_all;
use parking_lot::Mutex;
use service_kit::DependencyHealth;
use tokio::time::timeout;

use crate::{
    metrics::Metric,
    ports::{Answer, Sink},
    ports_out::{OutEvent, OutStream},
};

/// How long JetStream may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(2);
/// For how long an event is tried; then it is given up.
const MAX_AGE: Duration = Duration::from_hours(1);
/// For how long the stream knows what it has, so that what comes again is not there twice.
const DUPLICATES: Duration = Duration::from_mins(10);

/// What the stream holds at most when it is made here. One that is there is left as it is.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain fields")]
pub struct OutLimits {
    pub max_age: Duration,
    pub max_bytes: i64,
}

/// The way to the stream. A clone is the same.
#[derive(Debug, Clone)]
pub struct OutPublisher {
    context: Context,
    limits: OutLimits,
    health: DependencyHealth,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Ready,
    Missing,
}

impl OutPublisher {
    /// Publishes over `client`, and says in `health` how that goes.
    #[must_use]
    pub fn new(client: Client, limits: OutLimits, health: DependencyHealth) -> Self {
        let mut context = jetstream::new(client);
        context.set_timeout(TIMEOUT);
        Self {
            context,
            limits,
            health,
            state: Arc::new(Mutex::new(State::Unknown)),
        }
    }

    /// Makes sure that there is a stream. Warns once when there cannot be.
    pub async fn prepare(&self) {
        let outcome = self.find_or_make().await;
        self.note(outcome.as_ref().map_err(|error| &**error));
    }

    async fn find_or_make(&self) -> Result<(), BoxError> {
        let config = stream::Config {
            name: OUT_STREAM.to_owned(),
            description: Some("What care-chat tells other services".to_owned()),
            subjects: vec![OUT_ALL.to_owned()],
            max_age: self.limits.max_age,
            max_bytes: self.limits.max_bytes,
            duplicate_window: DUPLICATES,
            ..stream::Config::default()
        };
        let making = self.context.get_or_create_stream(config);
        timeout(TIMEOUT * 2, making).await??;
        Ok(())
    }

    /// Notes whether the stream takes events.
    fn note(&self, outcome: Result<&(), &(dyn std::error::Error + Send + Sync + 'static)>) {
        let state = if outcome.is_ok() {
            State::Ready
        } else {
            State::Missing
        };
        let before = std::mem::replace(&mut *self.state.lock(), state);
        match outcome {
            Ok(()) => {
                self.health.up();
                if before == State::Missing {
                    tracing::info!("other services are told again");
                }
            }
            Err(error) => {
                self.health.down(error.to_string());
                if before != State::Missing {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        "JetStream does not take events: other services are told nothing"
                    );
                }
            }
        }
    }

    async fn publish_all(&self, batch: &[OutEvent], within: Duration) -> Result<(), BoxError> {
        if *self.state.lock() != State::Ready {
            self.find_or_make().await?;
        }
        let each = batch.iter().map(|event| self.publish_one(event));
        let published = timeout(within, join_all(each)).await?;
        published.into_iter().collect()
    }

    async fn publish_one(&self, event: &OutEvent) -> Result<(), BoxError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, event.id.as_str());
        headers.insert("Content-Type", "application/json");
        let subject = subject::out(&event.app, &event.name);
        let payload = event.json.clone().into();
        let published = self.context.publish_with_headers(subject, headers, payload);
        published.await?.await?;
        Ok(())
    }
}

impl OutStream for OutPublisher {
    fn publish<'a>(&'a self, events: &'a [OutEvent], within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let outcome = self.publish_all(events, within).await;
            self.note(outcome.as_ref().map_err(|error| &**error));
            if outcome.is_ok() {
                Metric::OutPublished.add(events.len());
            }
            outcome.map_err(|source| ChatError::Unavailable {
                dependency: "jetstream",
                source,
            })
        })
    }

    fn is_ready(&self) -> bool {
        *self.state.lock() == State::Ready
    }
}

/// Takes what waited in Redis, and gives up what is not worth it any more.
impl Sink<OutEvent> for OutPublisher {
    fn take<'a>(&'a self, batch: &'a [OutEvent]) -> Answer<'a, ()> {
        Box::pin(async move {
            let Err(error) = self.publish(batch, TIMEOUT).await else {
                return Ok(());
            };
            let now = service_kit::now();
            if !batch.iter().all(|event| is_stale(event, now)) {
                return Err(error);
            }
            Metric::OutDropped.add(batch.len());
            tracing::error!(
                error = &error as &dyn std::error::Error,
                n_events = batch.len(),
                "events for other services are given up"
            );
            Ok(())
        })
    }
}

fn is_stale(event: &OutEvent, now: Timestamp) -> bool {
    event.at.after(MAX_AGE) < now
}
