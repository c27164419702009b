//! One connection of our own that carries the subscriptions to all users of this gateway.
//!
//! A client library keeps a channel for each subscription, which costs more than the whole socket
//! may (`docs/adr/0002-own-nats-connection-for-interest.md`). Here a subscription is one entry in a
//! map, and what arrives is handed on in the order of arrival. It publishes nothing and asks
//! nothing.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::ServerAddr;
use bytes::BytesMut;
use chat_proto::subject;
use futures_util::future::BoxFuture;
use hashbrown::HashMap;
use parking_lot::Mutex;
use serde::Deserialize;
use service_kit::{TlsError, nats::NatsAccess};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split,
    },
    net::TcpStream,
    sync::{Notify, oneshot},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::pki_types::{InvalidDnsNameError, ServerName},
};

use super::{Operation, Parser, ProtocolError};
use crate::{
    metrics::Metric,
    ports::{Inbox, Interest, Subscription, Unconfirmed},
    random,
    registry::UserKey,
};

/// How long a connection attempt, a greeting or a write may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the server is asked for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// A server that said nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(40);
/// The pause before the first and the longest before a further attempt.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));

/// The subscriptions to what is said to all gateways; those of users count from 1.
const REVOKED: u64 = 0;
const USED: u64 = u64::MAX;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InterestError {
    #[error("connection failed")]
    Io(#[from] io::Error),
    #[error("the server sent what is not NATS")]
    Protocol(#[from] ProtocolError),
    #[error("the server did not answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("the server is shutting down")]
    LameDuck,
    #[error("the server wants TLS, and there is no NATS_CA_FILE")]
    NoAuthority,
    #[error("the files for TLS cannot be used")]
    Files(#[from] TlsError),
    #[error("the server's name can be in no certificate")]
    Name(#[from] InvalidDnsNameError),
}

/// The connection itself, by TLS or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type AnyStream = Box<dyn Stream>;

/// The subscriptions of this gateway, and the connection that keeps them up.
#[derive(Debug)]
pub struct InterestConnection {
    access: NatsAccess,
    name: String,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    last_sid: u64,
    users: HashMap<u64, UserKey>,
    /// There while connected.
    outgoing: Option<Outgoing>,
}

/// What waits to be written, and who waits for answers.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// Confirmed by the next `PING`'s answer.
    unasked: Asked,
    /// One for each `PING` on its way.
    asked: VecDeque<Asked>,
}

/// What the answer to one `PING` means.
#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<oneshot::Sender<()>>,
    resumes: bool,
    keepalive: bool,
}

impl Asked {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.resumes && !self.keepalive
    }
}

impl State {
    fn subscribe_line(&mut self, sid: u64) {
        if let (Some(outgoing), Some(user)) = (&mut self.outgoing, self.users.get(&sid)) {
            push_subscribe(&mut outgoing.bytes, sid, user);
        }
    }
}

fn push_subscribe(bytes: &mut Vec<u8>, sid: u64, user: &UserKey) {
    let subject = subject::user(&user.app, &user.user);
    bytes.extend_from_slice(format!("SUB {subject} {sid}\r\n").as_bytes());
}

impl InterestConnection {
    /// Makes it for any of the servers of `access`; [`InterestConnection::run`] connects. `name` is what the
    /// server's operators see.
    #[must_use]
    pub fn new(access: NatsAccess, name: String) -> Self {
        Self {
            access,
            name,
            state: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Connects, and connects again, until dropped. `report` hears of every change.
    pub async fn run(
        &self,
        inbox: &dyn Inbox,
        report: impl Fn(Result<(), &InterestError>) + Send + Sync,
    ) {
        let mut pause = BACKOFF.0;
        for server in self.access.servers.iter().cycle() {
            let started = Instant::now();
            let Err(error) = self.connection(server, inbox, &report).await;
            self.state.lock().outgoing = None;
            report(Err(&error));
            metrics::counter!(Metric::InterestReconnects.name()).increment(1);
            tracing::warn!(
                server.host = server.host(),
                error = &error as &dyn std::error::Error,
                "interest connection lost, reconnecting"
            );
            if SILENCE < started.elapsed() {
                pause = BACKOFF.0;
            }
            tokio::time::sleep(random::jitter(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// Serves one connection until it fails.
    async fn connection(
        &self,
        server: &ServerAddr,
        inbox: &dyn Inbox,
        report: &(impl Fn(Result<(), &InterestError>) + Send + Sync),
    ) -> Result<std::convert::Infallible, InterestError> {
        let address = (server.host(), server.port());
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let greeted = timeout(PATIENCE, self.greet(Box::new(stream), server)).await??;
        let (mut incoming, mut write) = greeted.split();

        self.resubscribe();
        report(Ok(()));
        tokio::select! {
            error = self.read(&mut incoming, inbox) => error,
            error = self.write(&mut write) => error,
        }
    }

    /// Exchanges greetings; returns when the server has let us in.
    async fn greet(
        &self,
        stream: AnyStream,
        server: &ServerAddr,
    ) -> Result<Incoming<AnyStream>, InterestError> {
        let mut incoming = Incoming::new(stream);
        let info = incoming.info().await?;
        match &self.access.tls {
            Some(tls) => {
                let name = ServerName::try_from(server.host().to_owned())?;
                let tls = TlsConnector::from(Arc::new(tls.config()?));
                // What else was read was said by anybody, and is dropped.
                incoming = Incoming::new(Box::new(tls.connect(name, incoming.read).await?));
            }
            None if info.tls_required => return Err(InterestError::NoAuthority),
            None => {}
        }
        let line = connect_line(server, &self.name, &info, &self.access);
        incoming.read.write_all(line.as_bytes()).await?;
        incoming.read.flush().await?;
        loop {
            match incoming.next().await? {
                Operation::Pong => return Ok(incoming),
                Operation::Error(text) => return Err(InterestError::Refused(text)),
                Operation::Info(_)
                | Operation::Message { .. }
                | Operation::Ping
                | Operation::Ok => {}
            }
        }
    }

    /// Opens the outgoing side with a subscription for every user.
    fn resubscribe(&self) {
        let mut state = self.state.lock();
        let mut outgoing = Outgoing::default();
        for (subject, sid) in [(subject::REVOKED, REVOKED), (subject::USED, USED)] {
            let line = format!("SUB {subject} {sid}\r\n");
            outgoing.bytes.extend_from_slice(line.as_bytes());
        }
        for (sid, user) in &state.users {
            push_subscribe(&mut outgoing.bytes, *sid, user);
        }
        outgoing.unasked.resumes = true;
        state.outgoing = Some(outgoing);
        self.wake.notify_one();
    }

    async fn read(
        &self,
        incoming: &mut Incoming<ReadHalf<AnyStream>>,
        inbox: &dyn Inbox,
    ) -> Result<std::convert::Infallible, InterestError> {
        loop {
            match incoming.next().await? {
                Operation::Message { sid: REVOKED, .. } => inbox.revoked(),
                Operation::Message { sid: USED, payload } => inbox.used(payload),
                Operation::Message { sid, payload } => {
                    let user = self.state.lock().users.get(&sid).cloned();
                    // Messages for a subscription just given up are still on their way.
                    if let Some(user) = user {
                        inbox.deliver(&user, payload);
                    }
                }
                Operation::Ping => self.send(b"PONG\r\n"),
                Operation::Pong => self.answered(inbox),
                Operation::Info(info) => {
                    if ServerInfo::parse(&info).lame_duck_mode {
                        return Err(InterestError::LameDuck);
                    }
                }
                Operation::Error(text) if text.starts_with("Permissions Violation") => {
                    // The connection goes on; somebody has to correct the permissions.
                    tracing::error!(reason = text, "subscription refused");
                }
                Operation::Error(text) => return Err(InterestError::Refused(text)),
                Operation::Ok => {}
            }
        }
    }

    async fn write(
        &self,
        write: &mut WriteHalf<AnyStream>,
    ) -> Result<std::convert::Infallible, InterestError> {
        let mut keepalive = tokio::time::interval(KEEPALIVE);
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = keepalive.tick() => {
                    if let Some(outgoing) = &mut self.state.lock().outgoing {
                        outgoing.unasked.keepalive = true;
                    }
                }
            }
            let bytes = self.take_outgoing();
            if !bytes.is_empty() {
                let written = async {
                    write.write_all(&bytes).await?;
                    write.flush().await
                };
                timeout(PATIENCE, written).await??;
            }
        }
    }

    /// Takes what is to be written, with a `PING` behind it when somebody waits for confirmation.
    fn take_outgoing(&self) -> Vec<u8> {
        let mut state = self.state.lock();
        let Some(outgoing) = &mut state.outgoing else {
            return Vec::new();
        };
        if !outgoing.unasked.is_empty() {
            outgoing.bytes.extend_from_slice(b"PING\r\n");
            outgoing
                .asked
                .push_back(std::mem::take(&mut outgoing.unasked));
        }
        std::mem::take(&mut outgoing.bytes)
    }

    fn send(&self, bytes: &[u8]) {
        if let Some(outgoing) = &mut self.state.lock().outgoing {
            outgoing.bytes.extend_from_slice(bytes);
        }
        self.wake.notify_one();
    }

    fn answered(&self, inbox: &dyn Inbox) {
        let asked = match &mut self.state.lock().outgoing {
            Some(outgoing) => outgoing.asked.pop_front(),
            None => None,
        };
        let Some(asked) = asked else { return };
        for waiting in asked.waiting {
            // Whoever waited may have given up.
            let _ = waiting.send(());
        }
        if asked.resumes {
            inbox.resumed();
        }
    }
}

impl Interest for InterestConnection {
    fn subscribe(&self, user: UserKey) -> Subscription {
        let mut state = self.state.lock();
        state.last_sid += 1;
        let sid = state.last_sid;
        state.users.insert(sid, user);
        state.subscribe_line(sid);
        self.wake.notify_one();
        Subscription(sid)
    }

    fn unsubscribe(&self, subscription: Subscription) {
        let Subscription(sid) = subscription;
        let mut state = self.state.lock();
        state.users.remove(&sid);
        if let Some(outgoing) = &mut state.outgoing {
            outgoing
                .bytes
                .extend_from_slice(format!("UNSUB {sid}\r\n").as_bytes());
        }
        self.wake.notify_one();
    }

    fn confirmed(&self) -> BoxFuture<'_, Result<(), Unconfirmed>> {
        let (confirm, confirmed) = oneshot::channel();
        if let Some(outgoing) = &mut self.state.lock().outgoing {
            outgoing.unasked.waiting.push(confirm);
        }
        self.wake.notify_one();
        // Dropped with the connection, or here when there is none.
        Box::pin(async { confirmed.await.map_err(|_| Unconfirmed) })
    }
}

/// The reading side.
struct Incoming<R> {
    read: R,
    buffer: BytesMut,
    parser: Parser,
}

impl Incoming<AnyStream> {
    fn split(self) -> (Incoming<ReadHalf<AnyStream>>, WriteHalf<AnyStream>) {
        let (read, write) = split(self.read);
        let incoming = Incoming {
            read,
            buffer: self.buffer,
            parser: self.parser,
        };
        (incoming, write)
    }
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    fn new(read: R) -> Self {
        Self {
            read,
            buffer: BytesMut::new(),
            parser: Parser::new(chat_proto::MAX_PAYLOAD),
        }
    }

    async fn next(&mut self) -> Result<Operation, InterestError> {
        loop {
            if let Some(operation) = self.parser.next(&mut self.buffer)? {
                return Ok(operation);
            }
            self.buffer.reserve(64 * 1024);
            if timeout(SILENCE, self.read.read_buf(&mut self.buffer)).await?? == 0 {
                return Err(InterestError::Closed);
            }
        }
    }

    /// Reads what a server says first.
    async fn info(&mut self) -> Result<ServerInfo, InterestError> {
        match self.next().await? {
            Operation::Info(info) => {
                let info = ServerInfo::parse(&info);
                if info.lame_duck_mode {
                    return Err(InterestError::LameDuck);
                }
                Ok(info)
            }
            Operation::Error(text) => Err(InterestError::Refused(text)),
            Operation::Message { .. } | Operation::Ping | Operation::Pong | Operation::Ok => {
                Err(ProtocolError::BadLine.into())
            }
        }
    }
}

/// What matters of a server's description of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerInfo {
    #[serde(rename = "ldm")]
    lame_duck_mode: bool,
    tls_required: bool,
    /// What a client with an nkey signs.
    nonce: String,
}

impl ServerInfo {
    fn parse(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }
}

/// How we introduce ourselves: the one place that knows of credentials.
fn connect_line(server: &ServerAddr, name: &str, info: &ServerInfo, access: &NatsAccess) -> String {
    let signed = access.sign(&info.nonce);
    let options = serde_json::json!({
        "verbose": false,
        "pedantic": false,
        "echo": true,
        "headers": true,
        "protocol": 1,
        "lang": "rust",
        "version": env!("CARGO_PKG_VERSION"),
        "name": name,
        "user": server.username(),
        "pass": server.password(),
        "nkey": signed.as_ref().map(|signed| &signed.nkey),
        "sig": signed.as_ref().map(|signed| &signed.signature),
        "tls_required": access.tls.is_some(),
    });
    format!("CONNECT {options}\r\nPING\r\n")
}
