//! Connections that are slow, rude or idle, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;

use service_kit::{Lifecycle, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::http_site::{PATIENT, Site, token};

async fn serving(site: &Site) -> (SocketAddr, Lifecycle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lifecycle = Lifecycle::new();
    lifecycle.spawn(
        "rest",
        serve(listener, None, site.clients.clone(), lifecycle.clone()),
    );
    (address, lifecycle)
}

/// Writes `request` and returns everything until the server closes the connection.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn post(headers: &str, body: &str) -> String {
    let token = token(PATIENT, "patient");
    format!(
        "POST /api/v1/chat/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n{headers}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let site = Site::start().await;
    let (address, _lifecycle) = serving(&site).await;

    tokio::time::pause();
    let answer = exchange(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;

    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut() {
    let site = Site::start().await;
    let (address, _lifecycle) = serving(&site).await;

    tokio::time::pause();
    let answer = exchange(address, &post("Content-Length: 100", "{\"content\"")).await;

    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn rude_requests_are_refused_and_cut() {
    let site = Site::start().await;
    let (address, _lifecycle) = serving(&site).await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let chunks = format!("{:x}\r\n{}\r\n", 600_000, " ".repeat(600_000));
    let chunked = "Transfer-Encoding: chunked";

    for (request, status) in [
        (long, "431"),
        (post("Content-Length: 2\r\nContent-Length: 3", "{}"), "400"),
        (post("Content-Length: 5000000", "{}"), "413"),
        (post(chunked, &format!("{chunks}{chunks}0\r\n\r\n")), "413"),
        (post(chunked, "zz\r\n{}\r\n0\r\n\r\n"), "400"),
        ("NONSENSE\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = exchange(address, &request).await;

        let line = answer.lines().next().unwrap_or_default();
        assert!(line.contains(status), "{status}: {line}");
    }
    let alive = exchange(
        address,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(alive.starts_with("HTTP/1.1 200 "), "{alive}");
}

#[tokio::test]
async fn a_drain_ends_idle_connections_and_the_listener() {
    let site = Site::start().await;
    let (address, lifecycle) = serving(&site).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();

    lifecycle.soft().cancel();
    lifecycle.tracker().close();
    lifecycle.tracker().wait().await;

    assert_eq!(&first, b"HTTP/1.1 200");
    let mut rest = Vec::new();
    assert!(idle.read_to_end(&mut rest).await.is_ok());
    assert!(TcpStream::connect(address).await.is_err());
}
