//! Long-polling: a GET waits for packets, a POST brings some. A client that gives a request up
//! gives the connection up, because nobody knows what it has seen.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use socketio_protocol::{
    connection::{self as protocol, Sink},
    engine::{QueryError, Transport},
};
use tokio::time::{sleep_until, timeout};

use super::{
    Application, Handshake, Link, Reason,
    connection::{Connection, now},
    http::{Answer, plain, status, turned_away},
    server::Shared,
};

/// Opens a connection; the open packet is the answer.
pub(super) fn open<A: Application>(
    server: &Arc<Shared<A>>,
    config: &Arc<protocol::Config>,
    handshake: Handshake,
) -> Answer {
    if !server.is_open() {
        return turned_away();
    }
    let (connection, open) = Connection::open(server, config, handshake);
    server.remember(&connection);
    tokio::spawn(keep_time(Arc::downgrade(&connection)));
    plain(Bytes::copy_from_slice(open.packet()))
}

/// Answers when there is something to send.
pub(super) async fn get<A: Application>(
    connection: Arc<Connection<A>>,
) -> Result<Answer, QueryError> {
    connection.with(|protocol, sink| protocol.begin_get(now(), sink))?;
    let guard = Abort {
        connection: &*connection,
        abort: protocol::Connection::abort_get,
    };
    let body = poll_fn(|cx| connection.poll_get(cx)).await;
    guard.disarm();
    Ok(of(connection, plain(body)))
}

/// Takes packets, and answers when the application has caught up with them.
pub(super) async fn post<A: Application>(
    connection: Arc<Connection<A>>,
    request: Request<Incoming>,
) -> Result<Answer, QueryError> {
    connection.with(|protocol, sink| protocol.begin_post(now(), sink))?;
    let guard = Abort {
        connection: &*connection,
        abort: protocol::Connection::abort_post,
    };
    if request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/octet-stream")
    {
        return Err(QueryError::BadRequest);
    }
    let config = &connection.server.config;
    let body = Limited::new(request.into_body(), config.protocol.max_payload).collect();
    let body = match timeout(config.request_timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Ok(status(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(_) => return Ok(status(StatusCode::REQUEST_TIMEOUT)),
    };
    guard.disarm();

    connection.with(|protocol, sink| protocol.end_post(&body, now(), sink))?;
    poll_fn(|cx| connection.poll_room(cx)).await;
    Ok(of(connection, plain(Bytes::from_static(b"ok"))))
}

/// The session that an answer belongs to.
#[derive(Clone)]
pub(super) struct Of(Arc<dyn Link>);

impl Of {
    /// Hears that the answer did not arrive. Nobody knows what the client has seen: the session is
    /// over.
    pub(super) fn lost(self) {
        self.0.close(Reason::TransportClosed);
    }
}

fn of<A: Application>(connection: Arc<Connection<A>>, mut answer: Answer) -> Answer {
    answer.extensions_mut().insert(Of(connection));
    answer
}

/// Tells the connection of the time while no WebSocket does.
async fn keep_time<A: Application>(connection: Weak<Connection<A>>) {
    while let Some(deadline) = tick(&connection) {
        sleep_until(deadline.into()).await;
    }
}

/// Does what is due, and returns when something is due again.
fn tick<A: Application>(connection: &Weak<Connection<A>>) -> Option<std::time::Instant> {
    let connection = connection.upgrade()?;
    connection.with(|protocol, sink| {
        protocol.tick(now(), sink);
        let is_over = protocol.closed().is_some() || protocol.transport() == Transport::Websocket;
        (!is_over).then(|| protocol.deadline())
    })
}

/// Tells the connection that a request came to nothing, when it is dropped before its time.
struct Abort<'a, A: Application> {
    connection: &'a Connection<A>,
    abort: fn(&mut protocol::Connection, Sink<'_>),
}

impl<A: Application> Abort<'_, A> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl<A: Application> Drop for Abort<'_, A> {
    fn drop(&mut self) {
        self.connection
            .with(|protocol, sink| (self.abort)(protocol, sink));
    }
}
