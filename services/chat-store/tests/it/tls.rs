//! What a store connects to by TLS, and who connects to it: with the right authority and name, and
//! not otherwise.

use std::{path::Path, sync::Arc};

use chat_domain::UserId;
use chat_proto::subject::STORE_INBOX;
use chat_store::{
    config::RedisArgs, pg::Pg, ports_presence::PresenceState as _, redis::RedisState,
};
use redis::IntoConnectionInfo as _;
use service_kit::{Lifecycle, NatsArgs, Service, TlsArgs, serve};
use sqlx::{PgPool, postgres::PgConnectOptions};
use test_kit::{
    eventually,
    nats::Server,
    redis::Namespace,
    tls::{Authority, Before, Issued, door},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{http_site::Site, world::World};

/// What was said to a server: by whom, in front of which name, and whether it was listened to.
const CASES: [(&str, bool, bool); 3] = [
    ("localhost", true, true),
    ("localhost", false, false),
    ("127.0.0.1", true, false),
];

/// The authority of the servers, and another one.
fn authorities() -> [Authority; 2] {
    [(), ()].map(|()| Authority::new().unwrap())
}

#[tokio::test]
async fn postgres_is_believed_by_its_certificate_alone() {
    let world = World::new().await;
    let sql = PgConnectOptions::clone(&world.sql().await.connect_options());
    let [known, other] = authorities();
    let real = format!("{}:{}", sql.get_host(), sql.get_port());
    let issued = known.issue("localhost").unwrap();
    let port = door(&issued, Before::Postgres, real).await.unwrap().port();
    let url = |host: &str, port: u16, query: &str| {
        let (before, place) = world.url().rsplit_once('@').unwrap();
        let (_, database) = place.split_once('/').unwrap();
        format!("{before}@{host}:{port}/{database}?{query}")
    };
    let connect = async |host: &str, port, query: String| {
        Pg::connect(&url(host, port, &query), 1).await.map(drop)
    };
    let full = |ca: &Path| format!("sslmode=verify-full&sslrootcert={}", ca.display());

    for (host, is_known, is_right) in CASES {
        let ca = if is_known { &known } else { &other };
        let outcome = connect(host, port, full(&ca.file())).await;
        assert_eq!(outcome.is_ok(), is_right, "{host} {is_known}: {outcome:?}");
    }
    let bare = connect("localhost", port, "sslmode=disable".to_owned()).await;
    assert!(bare.is_err());
    let server_without = connect(sql.get_host(), sql.get_port(), full(&known.file())).await;
    assert!(matches!(server_without, Err(sqlx::Error::Tls(_))));

    // A pool that is there already believes what was written meanwhile.
    let url = url("localhost", port, &full(&other.file()));
    let pool = PgPool::connect_lazy(&url).unwrap();
    assert!(pool.acquire().await.is_err());
    std::fs::copy(known.file(), other.file()).unwrap();
    assert!(pool.acquire().await.is_ok());
}

#[tokio::test]
async fn redis_is_believed_by_its_certificate_alone() {
    let namespace = Namespace::new().unwrap();
    let [known, other] = authorities();
    let real = namespace.url().into_connection_info().unwrap();
    let issued = known.issue("localhost").unwrap();
    let to = real.addr().to_string();
    let port = door(&issued, Before::Nothing, to).await.unwrap().port();
    let world = World::new().await;
    let pg = Arc::new(world.pg_of(1).await);
    let ask = async |scheme: &str, host: &str, ca: Option<&Authority>| {
        let args = RedisArgs {
            redis_url: format!("{scheme}://{host}:{port}").into(),
            redis_ca_file: ca.map(Authority::file),
        };
        let address = args.address().unwrap();
        let state = RedisState::new(address, namespace.name(), pg.clone()).unwrap();
        let somebody = UserId::new("somebody").unwrap();
        state.presence_of(&world.id, &[somebody]).await.map(drop)
    };

    for (host, is_known, is_right) in CASES {
        let ca = if is_known { &known } else { &other };
        let outcome = ask("rediss", host, Some(ca)).await;
        assert_eq!(outcome.is_ok(), is_right, "{host} {is_known}: {outcome:?}");
    }
    assert!(ask("rediss", "localhost", None).await.is_err());
    assert!(ask("redis", "localhost", None).await.is_err());
}

/// Settings of a broker that shows a certificate, and asks for one if it is `strict`.
async fn broker(authority: &Authority, shown: &Issued, strict: bool) -> Server {
    let settings = format!(
        r#"tls {{ cert_file: "{}", key_file: "{}", ca_file: "{}", verify: {strict} }}"#,
        shown.certificate.display(),
        shown.key.display(),
        authority.file().display(),
    );
    up(Server::start_set(&settings).unwrap()).await
}

/// Waits until a broker takes connections.
async fn up(broker: Server) -> Server {
    let address = broker.url().replace("nats://", "");
    eventually("the broker takes connections", async || {
        TcpStream::connect(&address).await.ok()
    })
    .await;
    broker
}

/// Connects like the service does; tells whether it is let in, or else why not.
async fn nats(args: &NatsArgs) -> Result<(), String> {
    let health = Service::detached().health.dependency("nats");
    let access = args.access().map_err(|error| error.to_string())?;
    let client = service_kit::nats::connect(&access, STORE_INBOX, "test", health.clone())
        .await
        .unwrap();
    eventually("an outcome", async || match health.reason() {
        None => Some(Ok(())),
        Some(reason) if reason == "connecting" => None,
        Some(reason) => Some(Err(reason)),
    })
    .await?;
    // It is no other server that answers.
    client.flush().await.map_err(|error| error.to_string())
}

fn args(url: String, ca: Option<&Authority>, own: Option<&Issued>) -> NatsArgs {
    NatsArgs {
        nats_url: vec![url.into()],
        nats_ca_file: ca.map(Authority::file),
        nats_cert_file: own.map(|own| own.certificate.clone()),
        nats_key_file: own.map(|own| own.key.clone()),
        ..NatsArgs::default()
    }
}

#[tokio::test]
async fn nats_is_believed_by_its_certificate_alone() {
    let [known, other] = authorities();
    let broker = broker(&known, &known.issue("localhost").unwrap(), false).await;
    let url = |scheme: &str, host: &str| {
        let url = broker.url().replace("127.0.0.1", host);
        url.replace("nats", scheme)
    };

    for (host, is_known, is_right) in CASES {
        let ca = if is_known { &known } else { &other };
        for scheme in ["nats", "tls"] {
            let outcome = nats(&args(url(scheme, host), Some(ca), None)).await;
            assert_eq!(outcome.is_ok(), is_right, "{host} {is_known}: {outcome:?}");
        }
    }
    let bare = nats(&args(url("nats", "localhost"), None, None)).await;
    assert!(bare.is_err());
    let plain = up(Server::start().unwrap()).await;
    let server_without = nats(&args(plain.url(), Some(&known), None)).await;
    assert!(server_without.is_err());
}

#[tokio::test]
async fn nats_may_ask_the_service_for_a_certificate() {
    let [known, other] = authorities();
    let broker = broker(&known, &known.issue("localhost").unwrap(), true).await;
    let url = || broker.url().replace("127.0.0.1", "localhost");
    let (own, forged) = (known.issue("store"), other.issue("store"));

    let right = nats(&args(url(), Some(&known), Some(&own.unwrap()))).await;
    let wrong = nats(&args(url(), Some(&known), Some(&forged.unwrap()))).await;
    let none = nats(&args(url(), Some(&known), None)).await;

    assert_eq!(right, Ok(()));
    assert!(wrong.is_err());
    assert!(none.is_err());
}

#[tokio::test]
async fn what_the_service_shows_nats_and_whom_it_believes_can_be_renewed() {
    let [known, other] = authorities();
    let broker = broker(&known, &known.issue("localhost").unwrap(), true).await;
    let url = broker.url().replace("127.0.0.1", "localhost");
    let own = other.issue("store").unwrap();
    let access = args(url, Some(&other), Some(&own)).access().unwrap();
    let health = Service::detached().health.dependency("nats");
    let connecting = service_kit::nats::connect(&access, STORE_INBOX, "test", health.clone());
    let client = connecting.await.unwrap();
    eventually("it is refused", async || {
        health.reason().filter(|reason| reason != "connecting")
    })
    .await;

    let new = known.issue("store").unwrap();
    std::fs::copy(known.file(), other.file()).unwrap();
    std::fs::copy(new.certificate, own.certificate).unwrap();
    std::fs::copy(new.key, own.key).unwrap();

    eventually("it is let in", async || health.is_up().then_some(())).await;
    client.flush().await.unwrap();
}

#[tokio::test]
async fn rest_by_tls_is_answered_to_those_who_believe_it() {
    let site = Site::start().await;
    let [known, other] = authorities();
    let issued = known.issue("localhost").unwrap();
    let args = TlsArgs {
        tls_cert_file: Some(issued.certificate),
        tls_key_file: Some(issued.key),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (routes, lifecycle) = (site.clients.clone(), Lifecycle::new());
    let tls = args.acceptor().unwrap();
    lifecycle.spawn("rest", serve(listener, tls, routes, lifecycle.clone()));
    let request = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();

    let mut client = known.connect(address, "localhost").await.unwrap();
    client.write_all(request).await.unwrap();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 4"));
    assert!(other.connect(address, "localhost").await.is_err());
    assert!(known.connect(address, "127.0.0.1").await.is_err());

    let mut bare = TcpStream::connect(address).await.unwrap();
    bare.write_all(request).await.unwrap();
    answer.clear();
    // It may be cut off at once.
    let _ = bare.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
