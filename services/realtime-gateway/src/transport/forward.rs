//! Requests for sessions of other replicas, in a deployment without affinity: each goes over a stream
//! of its own to the replica that has the session, which serves it like any client's. Knows nothing
//! of sessions.
//!
//! What can be said of a request here can be said there: a client that gives up breaks the stream
//! off, a body that is too long is not read, and what one side does not read the other does not
//! write. When the replica is gone, or a part of the stream is lost, nobody knows what the client has
//! missed. It is told that its session is unknown and begins a new one; the replica closes the old
//! one as soon as it knows that its answer did not arrive, which it does for want of a proper end of
//! the stream.
//!
//! A client that upgrades keeps its stream for as long as its WebSocket lives; see `tunnel` and
//! `docs/adr/0006-foreign-websockets-are-tunnelled.md`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join;
use http::{
    HeaderMap, Request, StatusCode, Uri,
    header::{
        CONNECTION, CONTENT_TYPE, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use socketio_protocol::engine::QueryError;

use super::{
    Application,
    http::{Answer, answer},
    server::{Shared, Slot},
    stream::Stream,
    tunnel,
    upgrade::{self, Upgrade},
};
use crate::{metrics::Metric, peers::Failure};

/// What the other replica looks at.
const POLLING_HEADERS: [HeaderName; 3] = [HOST, ORIGIN, CONTENT_TYPE];
const UPGRADE_HEADERS: [HeaderName; 6] = [
    HOST,
    ORIGIN,
    CONNECTION,
    UPGRADE,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
];

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What another replica answered.
enum Answered {
    Plain(Answer),
    /// It speaks WebSocket from here on.
    Upgraded(OnUpgrade),
}

/// Passes a polling request on, and its answer back.
pub(super) async fn request<A: Application>(
    server: &Shared<A>,
    replica: &str,
    request: Request<Incoming>,
) -> Result<Answer, QueryError> {
    let (head, body) = request.into_parts();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = target(&head.uri);
    *request.headers_mut() = pick(&head.headers, &POLLING_HEADERS);
    match ask(server, replica, request).await? {
        Answered::Plain(answer) => Ok(answer),
        Answered::Upgraded(_) => Err(QueryError::BadRequest),
    }
}

/// Passes a WebSocket on.
pub(super) async fn upgrade<A: Application>(
    server: &Arc<Shared<A>>,
    replica: &str,
    upgrade: Upgrade,
) -> Result<Answer, QueryError> {
    let Some(slot) = Slot::take(server) else {
        return Ok(super::http::status(StatusCode::SERVICE_UNAVAILABLE));
    };
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = target(upgrade.uri());
    *request.headers_mut() = pick(upgrade.headers(), &UPGRADE_HEADERS);
    let on_upgrade = match ask(server, replica, request).await? {
        Answered::Plain(answer) => return Ok(answer),
        Answered::Upgraded(on_upgrade) => on_upgrade,
    };
    let Some(there) = upgrade::stream(on_upgrade).await else {
        return Err(QueryError::UnknownSid);
    };
    // Copied, because it is a part of a larger buffer.
    let early_there = Bytes::copy_from_slice(&there.read_buf);
    let Stream::Peer(stream) = there.io.into_inner() else {
        return Err(QueryError::UnknownSid);
    };
    Ok(upgrade.accept(move |client| {
        // What another gateway passed on is not passed on again.
        if let Some((client, early_here)) = client
            && !matches!(client, Stream::Peer(_))
        {
            let early = (Bytes::copy_from_slice(early_here), early_there);
            tokio::spawn(tunnel::serve(slot, client, stream, early));
        }
    }))
}

/// Sends `request` to `replica` and waits for the answer.
async fn ask<A, B>(
    server: &Shared<A>,
    replica: &str,
    request: Request<B>,
) -> Result<Answered, QueryError>
where
    A: Application,
    B: Body<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    let (outcome, answered) = match server.config.peers.open(replica) {
        Ok(stream) => {
            let fate = stream.fate();
            match exchange(Stream::Peer(stream), request).await {
                Ok(Answered::Plain(answer)) => ("answered", Ok(Answered::Plain(answer))),
                Ok(Answered::Upgraded(stream)) => ("upgraded", Ok(Answered::Upgraded(stream))),
                Err(error) => {
                    tracing::debug!(error = &*error, "request not forwarded");
                    match fate.failure() {
                        Some(Failure::Unreachable) => ("unreachable", Err(QueryError::UnknownSid)),
                        Some(Failure::Reset | Failure::Lost) | None => {
                            ("lost", Err(QueryError::UnknownSid))
                        }
                    }
                }
            }
        }
        Err(_) => ("unreachable", Err(QueryError::UnknownSid)),
    };
    metrics::counter!(Metric::Forwards.name(), "outcome" => outcome).increment(1);
    answered
}

async fn exchange<B>(stream: Stream, request: Request<B>) -> Result<Answered, Error>
where
    B: Body<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Answered::Upgraded(hyper::upgrade::on(response)));
        }
        let (head, body) = response.into_parts();
        // The limit is there for its own sake: an answer is what waited for one client.
        let body = Limited::new(body, 4 * 1024 * 1024)
            .collect()
            .await?
            .to_bytes();
        let content_type = head.headers.get(CONTENT_TYPE).cloned();
        Ok(Answered::Plain(answer(head.status, content_type, body)))
        // The stream ends properly with the sender.
    };
    let (answered, _) = join(exchange, connection.with_upgrades()).await;
    answered
}

fn target(uri: &Uri) -> Uri {
    let target = uri.path_and_query().cloned();
    target.map(Uri::from).unwrap_or_default()
}

fn pick(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let values = |name| headers.get_all(name).iter().cloned();
    names
        .iter()
        .flat_map(|name| values(name).map(|value| (name.clone(), value)))
        .collect()
}
