//! The gateway's own connection to NATS, and those of clients, by TLS.

use std::sync::{Arc, Mutex};

use clap::Parser as _;
use nkeys::KeyPair;
use realtime_gateway::{
    config::Config, nats::InterestConnection, ports::Inbox, registry::UserKey, transport,
};
use service_kit::{TlsArgs, nats::NatsAccess};
use test_kit::{
    nats::Server,
    tls::{Authority, Issued},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::oneshot,
};

use crate::transport::{World, Ws, get};

const QUERY: &str = "EIO=4&transport=websocket";

/// The authority of the servers, and another one.
fn authorities() -> [Authority; 2] {
    [(), ()].map(|()| Authority::new().unwrap())
}

/// Hears nothing.
struct Nobody;

impl Inbox for Nobody {
    fn deliver(&self, _: &UserKey, _: bytes::Bytes) {}
    fn resumed(&self) {}
    fn revoked(&self) {}
    fn used(&self, _: bytes::Bytes) {}
}

/// Connects once; tells whether it was let in, or else why not.
async fn interest(url: &str, settings: &[String]) -> Result<(), String> {
    connected(access(url, settings)?).await
}

fn access(url: &str, settings: &[String]) -> Result<NatsAccess, String> {
    let url = format!("--nats-url={url}");
    let fixed = ["gateway", "--apps-file=apps.toml", &url];
    let settings = settings.iter().map(String::as_str);
    let config = Config::parse_from(fixed.into_iter().chain(settings));
    config.nats.access().map_err(|error| error.to_string())
}

async fn connected(access: NatsAccess) -> Result<(), String> {
    let connection = Arc::new(InterestConnection::new(access, "test".to_owned()));
    let (told, outcome) = oneshot::channel();
    let told = Mutex::new(Some(told));
    let running = tokio::spawn(async move {
        let report = |state: Result<(), &realtime_gateway::nats::InterestError>| {
            if let Some(told) = told.lock().unwrap().take() {
                let _ = told.send(state.map_err(|error| format!("{error:?}")));
            }
        };
        connection.run(&Nobody, report).await;
    });
    let outcome = outcome.await.unwrap();
    running.abort();
    outcome
}

fn believing(authority: &Authority) -> String {
    format!("--nats-ca-file={}", authority.file().display())
}

/// A broker that shows a certificate for `localhost`, and asks for one if it is `strict`.
fn broker(authority: &Authority, strict: bool) -> Server {
    let Issued { certificate, key } = authority.issue("localhost").unwrap();
    let broker = Server::start_set(&format!(
        r#"tls {{ cert_file: "{}", key_file: "{}", ca_file: "{}", verify: {strict} }}"#,
        certificate.display(),
        key.display(),
        authority.file().display(),
    ));
    broker.unwrap()
}

/// Waits until a broker takes connections; it says its name first, in the clear.
async fn up(broker: &Server) {
    let address = broker.url().replace("nats://", "");
    test_kit::eventually("the broker takes connections", async || {
        TcpStream::connect(&address).await.ok()
    })
    .await;
}

#[tokio::test]
async fn nats_is_believed_by_its_certificate_alone() {
    let [known, other] = authorities();
    let broker = broker(&known, false);
    up(&broker).await;
    let url = |host: &str| broker.url().replace("127.0.0.1", host);
    let (right, wrong) = ([believing(&known)], [believing(&other)]);

    assert_eq!(interest(&url("localhost"), &right).await, Ok(()));
    let with_tls = url("localhost").replace("nats", "tls");
    assert_eq!(interest(&with_tls, &right).await, Ok(()));
    for (host, settings) in [
        ("localhost", &wrong[..]),
        ("127.0.0.1", &right),
        ("localhost", &[]),
    ] {
        let outcome = interest(&url(host), settings).await;
        assert!(outcome.is_err(), "{host} {settings:?}");
    }
    let plain = Server::start().unwrap();
    up(&plain).await;
    assert!(interest(&plain.url(), &right).await.is_err());
}

#[tokio::test]
async fn nats_may_ask_the_gateway_for_a_certificate() {
    let [known, other] = authorities();
    let broker = broker(&known, true);
    up(&broker).await;
    let url = broker.url().replace("127.0.0.1", "localhost");
    let own = |authority: &Authority| {
        let Issued { certificate, key } = authority.issue("gateway").unwrap();
        vec![
            believing(&known),
            format!("--nats-cert-file={}", certificate.display()),
            format!("--nats-key-file={}", key.display()),
        ]
    };

    assert_eq!(interest(&url, &own(&known)).await, Ok(()));
    assert!(interest(&url, &own(&other)).await.is_err());
    assert!(interest(&url, &[believing(&known)]).await.is_err());
}

#[tokio::test]
async fn what_the_gateway_shows_nats_and_whom_it_believes_can_be_renewed() {
    let [known, other] = authorities();
    let broker = broker(&known, true);
    up(&broker).await;
    let url = broker.url().replace("127.0.0.1", "localhost");
    let Issued { certificate, key } = other.issue("gateway").unwrap();
    let settings = [
        believing(&other),
        format!("--nats-cert-file={}", certificate.display()),
        format!("--nats-key-file={}", key.display()),
    ];
    let access = access(&url, &settings).unwrap();
    assert!(connected(access.clone()).await.is_err());

    let new = known.issue("gateway").unwrap();
    std::fs::copy(known.file(), other.file()).unwrap();
    std::fs::copy(new.certificate, certificate).unwrap();
    std::fs::copy(new.key, key).unwrap();

    assert_eq!(connected(access).await, Ok(()));
}

#[tokio::test]
async fn nats_knows_the_gateway_by_its_nkey() {
    let (own, other) = (KeyPair::new_user(), KeyPair::new_user());
    let known = own.public_key();
    let broker = Server::start_set(&format!(
        "authorization {{ users = [{{ nkey: {known} }}] }}"
    ));
    let broker = broker.unwrap();
    up(&broker).await;
    let signing = |pair: &KeyPair| format!("--nats-nkey-seed={}", pair.seed().unwrap());

    assert_eq!(interest(&broker.url(), &[signing(&own)]).await, Ok(()));
    assert!(interest(&broker.url(), &[signing(&other)]).await.is_err());
    assert!(interest(&broker.url(), &[]).await.is_err());
}

/// A server with a certificate for `localhost`.
async fn encrypted(authority: &Authority) -> World {
    let Issued { certificate, key } = authority.issue("localhost").unwrap();
    let args = TlsArgs {
        tls_cert_file: Some(certificate),
        tls_key_file: Some(key),
    };
    World::with(transport::Config {
        tls: args.acceptor().unwrap(),
        ..transport::Config::default()
    })
    .await
}

#[tokio::test]
async fn clients_by_tls_are_served_if_they_believe_it() {
    let [known, other] = authorities();
    let world = encrypted(&known).await;

    let stream = known.connect(world.address, "localhost").await.unwrap();
    let mut ws = Ws::handshake(stream, QUERY).await;
    assert!(ws.text().await.starts_with("0{"));
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{"));
    ws.send(r#"42["echo",1]"#).await;
    assert_eq!(ws.text().await, r#"42["echo",1]"#);

    assert!(other.connect(world.address, "localhost").await.is_err());
    assert!(known.connect(world.address, "127.0.0.1").await.is_err());
    let mut bare = TcpStream::connect(world.address).await.unwrap();
    let request = get("EIO=4&transport=polling", "");
    bare.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // It may be cut off at once.
    let _ = bare.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_client_by_tls_that_reads_slowly_gets_all_of_it_without_saying_more() {
    let [known, _] = authorities();
    let world = encrypted(&known).await;
    let socket = TcpSocket::new_v4().unwrap();
    // What is on its way for it fills its connection, and then the server's TLS.
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = socket.connect(world.address).await.unwrap();
    let stream = known.greet(stream, "localhost").await.unwrap();
    let mut ws = Ws::handshake(stream, QUERY).await;
    ws.text().await;
    ws.send("40").await;
    ws.text().await;

    let event = format!(r#"42["echo","{}"]"#, "x".repeat(60_000));
    for _ in 0..4 {
        ws.send(&event).await;
    }
    let handled = async || (world.echo.handled.lock().1 == 4).then_some(());
    test_kit::eventually("all was sent", handled).await;
    for _ in 0..4 {
        assert_eq!(ws.text().await, event);
    }
}
