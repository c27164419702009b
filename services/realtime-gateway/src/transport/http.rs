//! Requests: what they ask for, and from where. What a session does with them is in `polling`.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, ORIGIN, RETRY_AFTER, VARY,
    },
};
use http_body_util::Full;
use hyper::body::Incoming;
use socketio_protocol::{
    connection as protocol,
    engine::{Query, QueryError, Transport},
};

use super::{
    Application, Handshake, forward, polling,
    server::{Place, Shared},
    upgrade::{self, Upgrade},
};

/// The answer to a request.
pub(super) type Answer = Response<Full<Bytes>>;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Answers one request that came from `peer`.
pub(super) async fn handle<A: Application>(
    server: Arc<Shared<A>>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let Some(config) = server.protocol(request.uri().path()).map(Arc::clone) else {
        let page = server.config.pages.answer(&request);
        return Ok(page.unwrap_or_else(not_found));
    };
    let origin = request.headers().get(ORIGIN).cloned();
    if let Some(origin) = &origin
        && !is_allowed(&*server.application, origin, request.headers())
    {
        return Ok(refusal(QueryError::Forbidden));
    }

    let is_preflight = request.method() == Method::OPTIONS;
    let mut answer = if is_preflight {
        status(StatusCode::NO_CONTENT)
    } else {
        engine(&server, &config, peer, request)
            .await
            .unwrap_or_else(refusal)
    };
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        allow(headers, origin);
        if is_preflight {
            allow_all_there_is(headers);
        }
    }
    Ok(answer)
}

/// Answers a request for a connection, or of one.
async fn engine<A: Application>(
    server: &Arc<Shared<A>>,
    config: &Arc<protocol::Config>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Answer, QueryError> {
    if config.layer == protocol::Layer::Plain {
        let upgrade = Upgrade::take(request)?;
        let spoken = (Transport::Websocket, false);
        let handshake = handshake(server, peer, upgrade.headers(), spoken);
        return Ok(match admit(server, &handshake) {
            Ok(()) => upgrade::open(server, config, handshake, upgrade),
            Err(after) => too_many(after),
        });
    }
    let text = request.uri().query().unwrap_or_default().to_owned();
    let query = Query::parse(&text)?;
    let spoken = (query.transport, query.names_version_first);
    match (query.transport, &query.sid) {
        (Transport::Polling, None) if request.method() == Method::GET => {
            let handshake = handshake(server, peer, request.headers(), spoken);
            Ok(match admit(server, &handshake) {
                Ok(()) => polling::open(server, config, handshake),
                Err(after) => too_many(after),
            })
        }
        (Transport::Polling, None) => Err(QueryError::BadHandshakeMethod),
        (Transport::Polling, Some(sid)) => {
            let place = server.find(sid)?;
            match (request.method(), place) {
                (&Method::GET, Place::Here(connection)) => polling::get(connection).await,
                (&Method::POST, Place::Here(connection)) => {
                    polling::post(connection, request).await
                }
                (&Method::GET | &Method::POST, Place::At(replica)) => {
                    forward::request(server, replica, request).await
                }
                _ => Err(QueryError::BadRequest),
            }
        }
        (Transport::Websocket, sid) => {
            let upgrade = Upgrade::take(request)?;
            match sid {
                None => {
                    let handshake = handshake(server, peer, upgrade.headers(), spoken);
                    Ok(match admit(server, &handshake) {
                        Ok(()) => upgrade::open(server, config, handshake, upgrade),
                        Err(after) => too_many(after),
                    })
                }
                Some(sid) => match server.find(sid)? {
                    Place::Here(connection) => Ok(upgrade::probe(connection, upgrade)),
                    Place::At(replica) => forward::upgrade(server, replica, upgrade).await,
                },
            }
        }
    }
}

/// Copies what is kept of a request. Nothing of it may refer to the request, which is large.
fn handshake<A: Application>(
    server: &Shared<A>,
    peer: IpAddr,
    headers: &HeaderMap,
    (transport, names_version_first): (Transport, bool),
) -> Handshake {
    let header = |name| text(headers, &name).map(Box::from);
    Handshake {
        authorization: header(AUTHORIZATION),
        access_token: cookie(headers, "access_token").map(Box::from),
        origin: header(ORIGIN),
        host: header(HOST),
        address: client_address(server, peer, headers),
        transport,
        names_version_first,
    }
}

/// Counts a client. A proxy that does not say for whom it speaks may speak for everybody.
fn admit<A: Application>(server: &Shared<A>, handshake: &Handshake) -> Result<(), Duration> {
    let address = handshake.address;
    if is_trusted(server, address) {
        return Ok(());
    }
    server.application.admit(address)
}

fn is_trusted<A: Application>(server: &Shared<A>, address: IpAddr) -> bool {
    let mut trusted = server.config.trusted_proxies.iter();
    trusted.any(|network| network.contains(address))
}

/// Returns the address of the client: the last one that a trusted proxy vouches for.
fn client_address<A: Application>(server: &Shared<A>, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let hops = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','));

    let mut client = peer;
    for hop in hops {
        if !is_trusted(server, client) {
            break;
        }
        let Ok(address) = hop.trim().parse() else {
            break;
        };
        client = address;
    }
    client
}

fn is_allowed<A: Application>(application: &A, origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = text(headers, &HOST);
    origin
        .to_str()
        .is_ok_and(|origin| application.origin_allowed(origin, host))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Lets the page read the answer.
fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// Answers the question what a page may send.
fn allow_all_there_is(headers: &mut HeaderMap) {
    let pairs = [
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            "GET,HEAD,PUT,PATCH,POST,DELETE",
        ),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Content-Type,Authorization,X-Access-Token,X-Refresh-Token,X-Client-Type",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for (name, value) in pairs {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Answers a request for what is not there.
fn not_found() -> Answer {
    json(
        StatusCode::NOT_FOUND,
        r#"{"message":"Not found"}"#.to_owned(),
    )
}

/// Answers as the reference server does to a request that it refuses.
fn refusal(error: QueryError) -> Answer {
    json(
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
        error.body(),
    )
}

/// Answers with JSON.
pub(super) fn json(status: StatusCode, body: String) -> Answer {
    with_type(status, "application/json", body.into())
}

/// Answers with an empty body.
pub(super) fn status(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

/// Answers a client that is to try elsewhere.
pub(super) fn turned_away() -> Answer {
    let mut answer = status(StatusCode::SERVICE_UNAVAILABLE);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Answers a client from whose address too many came.
fn too_many(after: Duration) -> Answer {
    let ms = after.as_millis();
    let body = format!(
        r#"{{"message":"Too many connections","code":"rate_limited","retryAfterMs":{ms}}}"#
    );
    let mut answer = json(StatusCode::TOO_MANY_REQUESTS, body);
    let seconds = HeaderValue::from(after.as_secs() + 1);
    answer.headers_mut().insert(RETRY_AFTER, seconds);
    answer
}

/// Answers with text.
pub(super) fn plain(body: Bytes) -> Answer {
    with_type(StatusCode::OK, "text/plain; charset=UTF-8", body)
}

fn with_type(code: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    answer(code, Some(HeaderValue::from_static(content_type)), body)
}

/// Answers with `body`.
pub(super) fn answer(code: StatusCode, content_type: Option<HeaderValue>, body: Bytes) -> Answer {
    let mut answer = status(code);
    if let Some(content_type) = content_type {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    *answer.body_mut() = Full::new(body);
    answer
}
