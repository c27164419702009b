//! Takes requests off NATS, some at a time, each with a deadline.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Message, Subscriber, connection::State};
use chat_domain::{ChatError, ErrorKind};
use chat_proto::{
    reply,
    subject::{RPC_ALL, Rpc, STORE_QUEUE, parse_rpc},
    v1,
};
use futures_util::StreamExt as _;
use service_kit::{Span, SpanKind, TraceParent, traced};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::answer;
use crate::{app::App, metrics::Metric};

/// How long a request may take. Gateways wait two seconds and ask again with the same key.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long a request may wait for its turn. By then its gateway asks again, or its client is gone: a
/// call must not ring because of somebody who hung up minutes ago.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many requests may wait for their turn.
const MAX_WAITING: usize = 4_096;

/// How long the server is given to acknowledge that nothing more is to be sent here.
const UNSUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The subscription was not possible: the client is gone.
#[derive(Debug, thiserror::Error)]
#[error("cannot subscribe to requests")]
pub struct ServeError(#[from] async_nats::SubscribeError);

/// A member of the queue group that answers gateways.
#[derive(Debug)]
pub struct Server {
    client: Client,
    requests: Subscriber,
}

impl Server {
    /// Joins the queue group; also while NATS is away, for when it comes.
    ///
    /// # Errors
    ///
    /// Returns [`ServeError`] when the client has been closed.
    pub async fn join(client: Client) -> Result<Self, ServeError> {
        let requests = client
            .queue_subscribe(RPC_ALL, STORE_QUEUE.to_owned())
            .await?;
        Ok(Self { client, requests })
    }

    /// Answers until `soft`, at most `concurrency` at a time; then leaves the group and answers what
    /// had been delivered. What is not begun in time, or finds nowhere to wait, has no effect and no
    /// answer.
    pub async fn serve(mut self, app: App, concurrency: usize, soft: CancellationToken) {
        let slots = Arc::new(Semaphore::new(concurrency));
        let places = Arc::new(Semaphore::new(concurrency + MAX_WAITING));
        let in_flight = TaskTracker::new();
        let mut last = None;
        loop {
            let request = tokio::select! {
                request = self.requests.next() => request,
                () = soft.cancelled(), if last.is_none() => {
                    last = Some(Instant::now() + UNSUBSCRIBE_TIMEOUT);
                    if !self.leave().await {
                        break;
                    }
                    continue;
                }
                () = until(last) => break,
            };
            let Some(request) = request else { break };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                leave_out(&request);
                continue;
            };
            let (app, client, slots) = (app.clone(), self.client.clone(), Arc::clone(&slots));
            in_flight.spawn(async move {
                match tokio::time::timeout(PATIENCE, slots.acquire()).await {
                    // The semaphore is never closed.
                    Ok(_slot) => respond(&client, &app, request).await,
                    Err(_) => leave_out(&request),
                }
                drop(place);
            });
        }
        in_flight.close();
        in_flight.wait().await;
        // The process may end next; without NATS there is nobody to wait for.
        let _ = tokio::time::timeout(UNSUBSCRIBE_TIMEOUT, self.client.flush()).await;
    }

    /// Asks the server to send no more; `false` when there is no server to ask.
    async fn leave(&mut self) -> bool {
        self.client.connection_state() == State::Connected && self.requests.drain().await.is_ok()
    }
}

async fn until(last: Option<Instant>) {
    match last {
        Some(last) => tokio::time::sleep_until(last).await,
        None => std::future::pending().await,
    }
}

async fn respond(client: &Client, app: &App, message: Message) {
    let Some(inbox) = message.reply else {
        return; // Nobody waits for an answer.
    };
    let Some(request) = parse_rpc(&message.subject) else {
        // Of a newer release. Silence makes the gateway ask again, perhaps somebody who knows.
        tracing::debug!("an unknown request was ignored");
        return;
    };
    let started = Instant::now();
    let headers = message.headers.as_ref();
    let traceparent = headers.and_then(|headers| headers.get(TraceParent::HEADER));
    let mut span = Span::below(
        traceparent.map_or("", |value| value.as_str()),
        format_args!("process {}", request.name()),
        SpanKind::Server,
    );
    span.set("messaging.system", "nats");
    let log = span.place().map_or_else(tracing::Span::none, |place| {
        traced!(place, "rpc", rpc.request = request.name())
    });
    let work = answer(app, request, message.payload);
    let outcome = tokio::time::timeout(DEADLINE, span.scope(work).instrument(log.clone()))
        .await
        .unwrap_or_else(|elapsed| {
            Err(ChatError::Unavailable {
                dependency: "chat-store",
                source: elapsed.into(),
            })
        });
    metrics::histogram!(Metric::RpcSeconds.name(), "request" => request.name())
        .record(started.elapsed().as_secs_f64());
    let payload = outcome.unwrap_or_else(|error| {
        span.fail(error.kind().code());
        log.in_scope(|| note(request, &error));
        reply::<v1::HeadsReply>(Err(&error))
    });
    if let Err(error) = client.publish(inbox, payload).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a reply was not sent"
        );
    }
}

/// Counts a request that comes too late to be answered.
fn leave_out(message: &Message) {
    if let Some(request) = parse_rpc(&message.subject) {
        count(request, "late");
    }
}

fn count(request: Rpc, kind: &'static str) {
    metrics::counter!(Metric::RpcFailures.name(), "request" => request.name(), "kind" => kind)
        .increment(1);
}

/// Counts a failure, and logs it once if it is ours.
fn note(request: Rpc, error: &ChatError) {
    let (name, kind) = (request.name(), error.kind());
    count(request, kind.code());
    let error = error as &dyn std::error::Error;
    match kind {
        ErrorKind::Internal => tracing::error!(rpc.request = name, error, "request failed"),
        ErrorKind::Unavailable => tracing::warn!(rpc.request = name, error, "request failed"),
        ErrorKind::Invalid
        | ErrorKind::Unauthenticated
        | ErrorKind::Unauthorized
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::RateLimited => tracing::debug!(rpc.request = name, error, "request refused"),
    }
}
