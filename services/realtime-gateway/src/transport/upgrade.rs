//! From a request to a WebSocket. The request is let go of: what it was read into would stay with
//! the connection, and is several times as large.

use std::sync::Arc;

use http::{
    HeaderMap, Method, Request, StatusCode, Uri,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Parts},
};
use hyper_util::rt::TokioIo;
use socketio_protocol::{connection as protocol, engine::QueryError, ws};

use super::{
    Application, Class, Handshake,
    connection::Connection,
    http::{Answer, status, turned_away},
    server::Shared,
    stream::Stream,
    websocket::{self, Role},
};

/// A well-formed request for a WebSocket.
pub(super) struct Upgrade {
    request: Request<Incoming>,
    accept: HeaderValue,
}

impl Upgrade {
    /// Checks that `request` asks for a WebSocket.
    pub(super) fn take(request: Request<Incoming>) -> Result<Self, QueryError> {
        let headers = request.headers();
        let has = |name, token: &str| {
            headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .any(|value| {
                    value
                        .split(',')
                        .any(|part| part.trim().eq_ignore_ascii_case(token))
                })
        };
        let is_upgrade = request.method() == Method::GET
            && has(CONNECTION, "upgrade")
            && has(UPGRADE, "websocket")
            && has(SEC_WEBSOCKET_VERSION, "13");
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .and_then(|key| key.to_str().ok());
        let accept = key
            .filter(|_| is_upgrade)
            .and_then(|key| HeaderValue::from_str(&ws::accept_key(key)).ok())
            .ok_or(QueryError::BadRequest)?;
        Ok(Self { request, accept })
    }

    /// Returns the headers of the request.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Returns the target of the request.
    pub(super) fn uri(&self) -> &Uri {
        self.request.uri()
    }

    /// Answers the request; `then` gets the stream, and what was read of it, or `None`.
    pub(super) fn accept(
        self,
        then: impl FnOnce(Option<(Stream, &[u8])>) + Send + 'static,
    ) -> Answer {
        let on_upgrade = hyper::upgrade::on(self.request);
        tokio::spawn(async move {
            match stream(on_upgrade).await {
                Some(parts) => then(Some((parts.io.into_inner(), &parts.read_buf))),
                None => then(None),
            }
        });
        let mut answer = status(StatusCode::SWITCHING_PROTOCOLS);
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        answer
    }
}

/// Opens a connection over a WebSocket.
pub(super) fn open<A: Application>(
    server: &Arc<Shared<A>>,
    config: &Arc<protocol::Config>,
    handshake: Handshake,
    upgrade: Upgrade,
) -> Answer {
    if !server.is_open() {
        return turned_away();
    }
    let (server, config) = (Arc::clone(server), Arc::clone(config));
    upgrade.accept(move |stream| {
        let Some((stream, early)) = stream else {
            return;
        };
        let (connection, open) = Connection::open(&server, &config, handshake);
        let limits = server.config.outbox;
        let is_plain = config.layer == protocol::Layer::Plain;
        // A plain client expects nothing before it said who it is.
        let open = (!is_plain).then_some(open);
        if connection
            .lock()
            .outbox
            .push(open.as_slice(), Class::Message, limits)
            .is_ok()
        {
            server.remember(&connection);
            if is_plain && connection.handshake.has_token() {
                connection.with(protocol::Connection::enter_plainly);
            }
            tokio::spawn(websocket::serve(connection, stream, early, Role::Carrier));
        }
    })
}

/// Takes a WebSocket to which a polling client wants to change. A client that has one already
/// keeps that one.
pub(super) fn probe<A: Application>(connection: Arc<Connection<A>>, upgrade: Upgrade) -> Answer {
    if connection.begin_upgrade().is_err() {
        // Clients expect a WebSocket that is closed, not a refused one.
        return upgrade.accept(|stream| {
            if let Some((stream, _)) = stream {
                tokio::spawn(websocket::turn_away(stream));
            }
        });
    }
    upgrade.accept(move |stream| match stream {
        Some((stream, early)) => {
            tokio::spawn(websocket::serve(connection, stream, early, Role::Probe));
        }
        None => connection.with(|protocol, sink| protocol.end_probe(sink)),
    })
}

/// Waits until the answer is written, and takes the stream out.
pub(super) async fn stream(on_upgrade: OnUpgrade) -> Option<Parts<TokioIo<Stream>>> {
    on_upgrade.await.ok()?.downcast().ok()
}
