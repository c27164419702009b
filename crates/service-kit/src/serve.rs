//! Connections of the HTTP listeners: how many, how slow, and how they end.
//!
//! What is answered is the router's; the gateway's sockets have a server of their own.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{Lifecycle, unread::Impatient};

/// Most connections of one listener; more wait in the backlog.
const MAX_CONNECTIONS: usize = 4_096;
/// How long greeting each other and a request's head may take each, and how long a connection may
/// idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head taken, in bytes; a longer one is answered 431.
const MAX_HEAD: usize = 16 * 1_024;
/// How long to leave a listener alone that cannot accept, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener`, by TLS if there is a `tls`, until the process drains; then what is
/// in flight may finish, until the drain is over.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    lifecycle: Lifecycle,
) {
    let soft = lifecycle.soft();
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = soft.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and somebody waits for them.
        let _ = stream.set_nodelay(true);
        let served = greet(stream, tls.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(error = &*error, "connection failed");
            }
            drop(permit);
        });
    }
    tokio::select! {
        () = graceful.shutdown() => {}
        () = lifecycle.hard().cancelled_owned() => {}
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) -> Result<(), Error> {
    match tls {
        None => answer(stream, router, watcher).await,
        Some(tls) => {
            let stream = timeout(HEAD_TIMEOUT, tls.accept(stream)).await??;
            answer(stream, router, watcher).await
        }
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    watcher: Watcher,
) -> Result<(), Error> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD)
        .serve_connection(
            TokioIo::new(Impatient::new(stream)),
            TowerToHyperService::new(router),
        );
    Ok(watcher.watch(connection).await?)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::JoinHandle,
    };

    use super::*;

    /// Much more than the connection holds.
    const ANSWER: usize = 1_000_000;

    /// Asks for an answer that does not fit into the connection; returns the client's end, and how the
    /// server's comes to its end.
    async fn ask(graceful: &GracefulShutdown) -> (DuplexStream, JoinHandle<Result<(), Error>>) {
        let router = Router::new().route("/", get(async || "x".repeat(ANSWER)));
        let (mut client, server) = duplex(64_000);
        let watcher = graceful.watcher();
        let answering = tokio::spawn(answer(server, router, watcher));
        let request = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        (client, answering)
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_of_an_answer_is_disconnected() {
        let graceful = GracefulShutdown::new();
        let (_client, answering) = ask(&graceful).await;

        let error = answering.await.unwrap().unwrap_err();

        let cause = error.source().unwrap().downcast_ref::<std::io::Error>();
        assert_eq!(cause.unwrap().kind(), std::io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_all_of_an_answer() {
        let graceful = GracefulShutdown::new();
        let (mut client, answering) = ask(&graceful).await;

        let (mut read, mut part) = (0, vec![0; 64_000]);
        loop {
            tokio::time::sleep(Duration::from_secs(29)).await;
            match client.read(&mut part).await.unwrap() {
                0 => break,
                more => read += more,
            }
        }

        assert!(ANSWER < read, "{read}");
        answering.await.unwrap().unwrap();
    }
}
