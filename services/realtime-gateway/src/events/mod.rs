//! The chat as the [`Application`] of the transports: who may connect, and what each event does.
//!
//! Events of one socket take effect in their order. A handler answers by itself: its reply goes out
//! as an event and, when the client asked, as the acknowledgement; a failure is an `error` event and
//! leaves the socket usable. Not here: names and payloads (`dialects`), order and fan-out
//! ([`delivery`](crate::delivery)), anything durable (the store).

mod admit;
mod calls;
mod connect;
mod conversations;
mod introduce;
mod membership;
mod messages;
mod recover;
mod tokens;
mod typing;

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{ChatError, ErrorKind};
use dialects::{Command, Fact, Failure};
use service_kit::{Span, SpanKind, auth::Verifier, http, traced};
use socketio_protocol::{Frame, plain};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::admit::{Admitted, Request};
pub use self::{membership::Membership, typing::TypingSignals};
use crate::{
    calls::Calls,
    delivery::Delivery,
    headcount::Headcount,
    journal::Journal,
    limits::Rates,
    metrics::Metric,
    ports::Interest,
    quotas::Quotas,
    registry::Registry,
    session::{ChatSocket, ExpiryQueue, Origin, RecoveryKey, Session, declaring},
    store::Store,
    transport::{Accepted, Application, ConnectRequest, Event, Reason, Refused},
    wire,
};

/// What the chat is made of.
#[expect(missing_docs, reason = "each is described at its type")]
pub struct Parts {
    pub verifier: Verifier,
    pub registry: Arc<Registry>,
    pub delivery: Arc<Delivery>,
    pub interest: Arc<dyn Interest>,
    pub store: Store,
    pub typing: Arc<TypingSignals>,
    pub calls: Arc<Calls>,
    pub rates: Rates,
    pub quotas: Arc<Quotas>,
    pub headcount: Arc<Headcount>,
    /// This process, in origins.
    pub replica: u64,
    /// Runs what outlives a call.
    pub tasks: TaskTracker,
    pub recovery: Arc<RecoveryKey>,
    pub journal: Arc<Journal>,
}

/// The chat.
pub struct Chat {
    parts: Parts,
    membership: Membership,
    expiry: ExpiryQueue,
    started: Instant,
}

impl Chat {
    /// Puts the chat together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            membership: Membership::new(parts.store.clone()),
            parts,
            expiry: ExpiryQueue::default(),
            started: Instant::now(),
        }
    }

    /// Does what a request asks for. Sends are the exception: they go in batches, by
    /// [`Chat::send_all`].
    async fn handle(&self, request: &Request) -> Result<(), ChatError> {
        match &request.command {
            Command::Introduce => {
                answer(request, &Fact::Introduced(request.socket.session().user()));
                Ok(())
            }
            Command::Join { place } => self.join(request, place).await,
            Command::Leave { conversation } => self.leave(request, *conversation),
            Command::Typing { place, active } => self.type_in(request, place, *active).await,
            Command::MarkRead(read) => self.mark_read(request, read).await,
            Command::SetStatus(status) => self.set_status(request, *status).await,
            Command::Sync { since } => self.sync(request, since).await,
            Command::Call(command) => self.call(request, command).await,
            Command::RefreshToken { token } => {
                self.refresh_token(request, token);
                Ok(())
            }
            Command::Send(_) => Ok(()),
        }
    }

    fn origin(&self, socket: &ChatSocket) -> Origin {
        Origin {
            replica: self.parts.replica,
            socket: socket.number(),
        }
    }

    /// Does the next thing of a batch; with a send, also those right behind it that go along.
    async fn next(&self, first: Request, rest: &mut VecDeque<Admitted>) {
        let label = admit::label(&first.command);
        let started = Instant::now();
        let log = traced!(first.trace, "event", event = label);
        let mut span = Span::begin(
            first.trace,
            None,
            format_args!("receive {label}"),
            SpanKind::Server,
        );
        span.set("app", first.socket.session().app().id.as_str());
        span.set("socket.id", first.socket.id());
        let work = async {
            if let Command::Send(_) = first.command {
                self.send_all(admit::take_run(first, rest)).await;
                return None;
            }
            let error = self.handle(&first).await.err()?;
            fail(&first, &error);
            Some(error.kind().code())
        };
        if let Some(code) = span.scope(work).instrument(log).await {
            span.fail(code);
        }
        metrics::histogram!(Metric::EventSeconds.name(), "event" => label)
            .record(started.elapsed());
    }

    fn since_start(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Application for Chat {
    type Session = Session;

    fn has_namespace(&self, namespace: &str) -> bool {
        let mut apps = self.parts.verifier.apps().iter();
        namespace == plain::NAMESPACE
            || apps.any(|app| dialects::namespace(app.dialect) == namespace)
    }

    fn origin_allowed(&self, origin: &str, host: Option<&str>) -> bool {
        http::is_origin_allowed(origin, host, self.parts.verifier.apps().origins())
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Accepted<Session>, Refused> {
        self.connect_socket(&request).await
    }

    fn takes_strangers(&self, request: &ConnectRequest) -> bool {
        declaring(self.parts.verifier.apps(), request).is_some()
    }

    async fn identify(
        &self,
        request: &ConnectRequest,
        event: &Event,
    ) -> Result<Session, Vec<Frame>> {
        self.identify_stranger(request, event).await
    }

    fn connected(&self, socket: &ChatSocket) {
        self.attach(socket);
    }

    async fn events(&self, batch: Vec<(ChatSocket, Event)>) {
        let admitted = batch
            .into_iter()
            .map(|(socket, event)| self.admit(socket, event));
        let mut admitted: VecDeque<Admitted> = admitted.collect();
        while let Some(next) = admitted.pop_front() {
            match next {
                Admitted::Request(request) => self.next(request, &mut admitted).await,
                Admitted::Answer(answer) => answer.give(),
            }
        }
    }

    fn disconnected(&self, socket: &ChatSocket, reason: Reason) {
        self.detach(socket, reason);
    }

    fn admit(&self, address: IpAddr) -> Result<(), Duration> {
        let admitted = self.parts.quotas.handshake(address);
        if admitted.is_err() {
            metrics::counter!(Metric::HandshakesRefused.name()).increment(1);
        }
        admitted
    }

    fn is_busy(&self, socket: &ChatSocket) -> bool {
        socket.session().device().lock().is_ringing()
    }
}

/// Answers a request.
fn answer(request: &Request, fact: &Fact<'_>) {
    count(&request.command, "ok");
    wire::reply(&request.socket, &request.name, request.ack, fact);
}

/// Answers a request that failed.
fn fail(request: &Request, error: &ChatError) {
    count(&request.command, error.kind().code());
    let source = error as &dyn std::error::Error;
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable) {
        tracing::warn!(error = source, "event failed");
    } else {
        tracing::debug!(error = source, "event refused");
    }
    let dialect = request.socket.session().dialect();
    let failure = Failure::of(dialect, error, Some(&request.name));
    let failed = Fact::Failed(&failure);
    wire::reply(&request.socket, &request.name, request.ack, &failed);
}

fn count(command: &Command, outcome: &'static str) {
    let label = admit::label(command);
    metrics::counter!(Metric::Events.name(), "event" => label, "outcome" => outcome).increment(1);
}
