//! Requests to chat-stores, over the shared client.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use chat_domain::ChatError;
use futures_util::future::BoxFuture;
use service_kit::{TraceParent, trace};

use crate::ports::Requests;

/// Sends requests to the queue group of chat-stores.
#[derive(Debug, Clone)]
pub struct NatsRequests {
    client: Client,
}

impl NatsRequests {
    /// Wraps the client.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Requests for NatsRequests {
    fn request(
        &self,
        subject: String,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, ChatError>> {
        Box::pin(async move {
            let mut request = Request::new().payload(payload).timeout(Some(timeout));
            if let Some(place) = trace::current() {
                let mut headers = HeaderMap::new();
                headers.insert(TraceParent::HEADER, place.to_string());
                request = request.headers(headers);
            }
            // The client's own timeout starts when the request is written, which is never while the
            // broker is away.
            let answer = tokio::time::timeout(timeout, self.client.send_request(subject, request));
            match answer.await {
                Ok(Ok(message)) => Ok(message.payload),
                Ok(Err(error)) => Err(unavailable(error)),
                Err(elapsed) => Err(unavailable(elapsed)),
            }
        })
    }
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> ChatError {
    ChatError::Unavailable {
        dependency: "chat-store",
        source: source.into(),
    }
}
