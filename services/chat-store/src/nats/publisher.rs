//! Tells users' sockets and then other services, and removes from the outbox what was told for certain.
//!
//! Nobody waits for NATS: what is to be told goes into a bounded queue, and what finds it full is told
//! later by the sweeper. "For certain" means that the server has taken everything: a probe published
//! afterwards on the same connection came back, and the connection was the same all the time. Flushing
//! is not enough, since the client drops its write buffer when it reconnects. What other services
//! could not be told moves on to a queue of its own: sockets were told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{Client, connection::State};
use chat_domain::Receipt;
use chat_proto::{WireId as _, subject, v1};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use prost::Message as _;
use service_kit::{Span, SpanKind};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    metrics::Metric,
    ports::{Committed, Event, Events, Fact, Outbox, OutboxId, Sink},
};

/// The version of envelopes.
pub(super) const VERSION: u32 = 1;

/// How long the connection may keep an event waiting.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long rows are gathered before one probe answers for all of them. Well under the second after
/// which the sweeper takes them.
const GATHER: Duration = Duration::from_millis(100);

/// How long a probe may take.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Most rows that wait for a probe; more are left to the sweeper.
const MAX_TOLD: usize = 1_024;

/// A handle on the task that tells. It ends when the last handle is gone, having told everything.
#[derive(Debug, Clone)]
pub struct Publisher {
    client: Client,
    queue: mpsc::Sender<Committed>,
}

/// A batch that was handed to the connection, and which connection that was.
struct Told {
    id: OutboxId,
    connection: u64,
    events: Vec<Event>,
}

/// What is told after sockets were, and where it is noted.
struct Confirming {
    client: Client,
    outbox: Arc<dyn Outbox>,
    services: Arc<dyn Sink<Vec<Event>>>,
}

impl Publisher {
    /// Starts with room for `capacity` waiting transactions. The events of each go to `services` once
    /// sockets were told. The second value is the work to spawn.
    pub fn new(
        client: Client,
        outbox: Arc<dyn Outbox>,
        services: Arc<dyn Sink<Vec<Event>>>,
        capacity: usize,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, committed) = mpsc::channel(capacity);
        let (told, confirmed) = mpsc::channel(MAX_TOLD);
        let publishing = publish_all(client.clone(), committed, told);
        let confirming = Confirming {
            client: client.clone(),
            outbox,
            services,
        };
        let confirming = confirm_all(confirming, confirmed);
        let work = async move {
            tokio::join!(publishing, confirming);
        };
        (Self { client, queue }, work)
    }
}

impl Events for Publisher {
    fn publish(&self, committed: Committed) -> bool {
        let events = committed.events.len();
        let taken = self.ready() && self.queue.try_send(committed).is_ok();
        if !taken {
            Metric::EventsDropped.add(events);
        }
        taken
    }

    fn ready(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    fn revoked(&self) -> BoxFuture<'_, ()> {
        let told = self.client.publish(subject::REVOKED, bytes::Bytes::new());
        // Without a connection it is said to whoever is there later: no harm.
        timeout(PUBLISH_TIMEOUT, told).map(drop).boxed()
    }
}

/// Counts the connections made so far, which tells one from the next.
pub(super) fn connection(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Acquire)
}

async fn publish_all(
    client: Client,
    mut committed: mpsc::Receiver<Committed>,
    told: mpsc::Sender<Told>,
) {
    while let Some(Committed { events, outbox }) = committed.recv().await {
        let connection = connection(&client);
        let count = events.len();
        if publish(&client, &events).await {
            Metric::EventsPublished.add(count);
        } else {
            Metric::EventsDropped.add(count);
            continue;
        }
        if let Some(id) = outbox {
            // Without room the row stays, and the sweeper tells it once more.
            let _ = told.try_send(Told {
                id,
                connection,
                events,
            });
        }
    }
}

/// Hands events to the connection; `false` when it would not take them.
async fn publish(client: &Client, events: &[Event]) -> bool {
    for event in events {
        let mut span = span(event);
        let mut envelope = envelope(event);
        if let Some(place) = span.place() {
            envelope.traceparent = place.to_string();
        }
        let payload = bytes::Bytes::from(envelope.encode_to_vec());
        for user in &event.targets {
            let subject = subject::user(&event.app, user);
            let sent = timeout(PUBLISH_TIMEOUT, client.publish(subject, payload.clone())).await;
            if !matches!(sent, Ok(Ok(()))) {
                span.fail("unavailable");
                return false;
            }
        }
    }
    true
}

fn span(event: &Event) -> Span {
    let kind = match &event.fact {
        Fact::MessageAppended(..) => "message",
        Fact::MessagesReceived { .. } => "receipt",
    };
    let name = format_args!("publish {kind}");
    let mut span = Span::below(&event.origin.traceparent, name, SpanKind::Producer);
    span.set("messaging.system", "nats");
    if let Fact::MessageAppended(conversation, message) = &event.fact {
        span.set("conversation.id", conversation.id);
        span.set("message.id", message.id);
    }
    span
}

async fn confirm_all(confirming: Confirming, mut told: mpsc::Receiver<Told>) {
    let mut batch = Vec::new();
    while told.recv_many(&mut batch, MAX_TOLD).await > 0 {
        if !told.is_closed() {
            tokio::time::sleep(GATHER).await;
        }
        while let Ok(more) = told.try_recv() {
            batch.push(more);
        }
        if let Err(error) = confirming.confirm(std::mem::take(&mut batch)).await {
            tracing::debug!(
                error = &*error,
                "the outbox keeps batches that may not have arrived"
            );
        }
    }
}

impl Confirming {
    async fn confirm(&self, batch: Vec<Told>) -> Result<(), chat_domain::BoxError> {
        timeout(PROBE_TIMEOUT, probe(&self.client)).await??;
        let connection = connection(&self.client);
        let (ids, transactions): (Vec<OutboxId>, Vec<Vec<Event>>) = batch
            .into_iter()
            .filter(|told| told.connection == connection)
            .map(|told| (told.id, told.events))
            .unzip();
        if ids.is_empty() {
            return Ok(());
        }
        match self.services.take(&transactions).await {
            Ok(()) => self.outbox.remove(&ids).await?,
            Err(_) => self.outbox.leave(&ids).await?,
        }
        Ok(())
    }
}

/// Returns once the server has taken everything published before on this connection.
pub(super) async fn probe(client: &Client) -> Result<(), chat_domain::BoxError> {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, bytes::Bytes::new()).await?;
    echo.next().await.ok_or("the subscription ended")?;
    Ok(())
}

fn envelope(event: &Event) -> v1::Envelope {
    let body = match &event.fact {
        Fact::MessageAppended(conversation, message) => {
            v1::envelope::Body::MessageAppended(v1::MessageAppended {
                conversation: Some(conversation.as_ref().into()),
                message: Some(message.into()),
            })
        }
        Fact::MessagesReceived {
            conversation,
            receipt,
            user,
            received,
        } => v1::envelope::Body::MessagesReceived(v1::MessagesReceived {
            conversation_id: conversation.to_wire(),
            receipt: match receipt {
                Receipt::Delivered => v1::ReceiptKind::Delivered,
                Receipt::Read => v1::ReceiptKind::Read,
            }
            .into(),
            user_id: user.as_str().to_owned(),
            message_ids: received.ids.iter().map(|id| id.to_wire()).collect(),
            at_ms: received.at.0,
        }),
    };
    v1::Envelope {
        version: VERSION,
        app: event.app.as_str().to_owned(),
        epoch: event.epoch,
        targets: event
            .targets
            .iter()
            .map(|user| user.as_str().to_owned())
            .collect(),
        origin: event.origin.socket.clone(),
        traceparent: event.origin.traceparent.clone(),
        body: Some(body),
    }
}
