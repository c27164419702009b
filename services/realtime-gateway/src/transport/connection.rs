//! One connection: the state machine, what waits on either side of it, and who has to be woken.
//! It reads and writes nothing; `websocket` and `polling` do.

use std::{
    mem,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use service_kit::{Span, SpanKind, trace};
use smallvec::SmallVec;
use socketio_protocol::{
    CloseReason, Frame,
    connection::{self as protocol, Effect, NamespaceId, PollAnswer, Sink},
    engine::{self, QueryError, Transport},
    packet::EventArgs,
};
use tokio::time::Instant;

use super::{
    Application, Args, Class, Event, Handshake, Link, Progress, Reason, Sent, Socket,
    inbox::{Inbox, Item},
    outbox::Outbox,
    server::Shared,
    sid::SessionKey,
    strangers::Strangers,
};

/// A connection of one client, over whichever transport.
pub(super) struct Connection<A: Application> {
    /// The upper bits of the numbers of its sockets.
    pub(super) number: u64,
    pub(super) key: SessionKey,
    pub(super) server: Arc<Shared<A>>,
    pub(super) handshake: Arc<Handshake>,
    this: Weak<Self>,
    state: Mutex<State<A::Session>>,
}

pub(super) struct State<S> {
    protocol: protocol::Connection,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    /// Those that the application has heard of. Only the worker changes them.
    pub(super) sockets: SmallVec<[Socket<S>; 1]>,
    pub(super) strangers: Strangers,
    pub(super) worker: Worker,
    /// Why the connection is closed, where the state machine does not know better.
    reason: Option<Reason>,
    /// Nothing more is read, and the end comes when all that was read has been handled.
    is_draining: bool,
    probe: ProbeOrder,
    websocket_waker: Option<Waker>,
    get_waker: Option<Waker>,
    room_waker: Option<Waker>,
}

/// The task that hands what the client sent to the application, one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    /// There is no task, and nothing to hand over.
    Idle,
    Running,
}

/// What the WebSocket that is being probed has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeOrder {
    None,
    Answer,
    Drop,
}

impl<A: Application> Connection<A> {
    /// Opens a connection, and returns the packet that tells the client so.
    pub(super) fn open(
        server: &Arc<Shared<A>>,
        config: &Arc<protocol::Config>,
        handshake: Handshake,
    ) -> (Arc<Self>, Frame) {
        let key = SessionKey::generate();
        let (protocol, open) = protocol::Connection::open(
            Arc::clone(config),
            handshake.transport,
            server.sid(key),
            now(),
        );
        let connection = Arc::new_cyclic(|this| Self {
            number: server.next_number(),
            key,
            server: Arc::clone(server),
            handshake: Arc::new(handshake),
            this: Weak::clone(this),
            state: Mutex::new(State {
                protocol,
                outbox: Outbox::default(),
                inbox: Inbox::default(),
                sockets: SmallVec::new(),
                strangers: Strangers::default(),
                worker: Worker::Idle,
                reason: None,
                is_draining: false,
                probe: ProbeOrder::None,
                websocket_waker: None,
                get_waker: None,
                room_waker: None,
            }),
        });
        (connection, open)
    }

    /// Runs the state machine, and sees to what follows from it.
    pub(super) fn with<R>(&self, run: impl FnOnce(&mut protocol::Connection, Sink<'_>) -> R) -> R {
        self.change(|state| {
            let limits = self.server.config.outbox;
            let State {
                protocol,
                outbox,
                inbox,
                probe,
                ..
            } = state;
            let mut overflow = false;
            let result = run(protocol, &mut |effect| match effect {
                Effect::Send(frame) | Effect::Message(frame) => {
                    overflow |= outbox.push(&[frame], Class::Message, limits).is_err();
                }
                Effect::Connect {
                    id,
                    namespace,
                    auth,
                } => {
                    inbox.push(Item::Connect {
                        id,
                        namespace,
                        auth: auth.map(RawValue::to_owned),
                    });
                }
                Effect::Event {
                    id,
                    event,
                    ack_id,
                    attachments,
                } => {
                    inbox.push(Item::Event(id, owned(&event, ack_id, attachments)));
                }
                Effect::Left(id) => inbox.push(Item::Left(id)),
                Effect::AnswerProbe => *probe = ProbeOrder::Answer,
                Effect::DropProbe => *probe = ProbeOrder::Drop,
                Effect::Upgraded => {}
                Effect::Closed(_) => inbox.push(Item::Closed),
            });
            if overflow {
                state.close(Reason::SlowConsumer);
            }
            result
        })
    }

    /// Changes the state, wakes whoever waits for that, and starts the worker if there is work.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<A::Session>) -> R) -> R {
        let mut state = self.state.lock();
        let was_open = state.protocol.closed().is_none();
        let result = change(&mut state);
        let has_closed = was_open && state.protocol.closed().is_some();
        let has_work = !state.inbox.is_empty() && state.worker == Worker::Idle;
        if has_work {
            state.worker = Worker::Running;
        }
        let wakers = state.take_wakers();
        if has_closed {
            state.outbox.wake();
        }
        drop(state);

        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
        if has_closed {
            self.server.forget(self.key);
        }
        if has_work && let Some(this) = self.this.upgrade() {
            tokio::spawn(super::worker::run(this));
        }
        result
    }

    /// Closes the connection for a reason of ours.
    pub(super) fn close(&self, reason: Reason) {
        self.change(|state| state.close(reason));
    }

    /// Closes the connection when what the client was heard to say has been handled.
    pub(super) fn drain(&self) {
        self.change(|state| {
            state.is_draining = true;
            state.close_if_drained();
        });
    }

    /// Whether it is better left alone for the moment.
    pub(super) fn is_busy(&self) -> bool {
        let sockets = self.state.lock().sockets.clone();
        let application = &self.server.application;
        sockets.iter().any(|socket| application.is_busy(socket))
    }

    /// Locks the state, for changes that concern nobody who waits.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<A::Session>> {
        self.state.lock()
    }

    /// Takes a WebSocket that is to be probed.
    pub(super) fn begin_upgrade(&self) -> Result<(), QueryError> {
        let mut state = self.state.lock();
        state.protocol.begin_upgrade(now())?;
        state.probe = ProbeOrder::None;
        Ok(())
    }

    /// Waits until the waiting GET can be answered.
    pub(super) fn poll_get(&self, cx: &Context<'_>) -> Poll<Bytes> {
        let mut state = self.state.lock();
        let has_queued = !state.outbox.is_empty();
        let last = match state.protocol.answer_get(has_queued) {
            None => {
                state.get_waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(PollAnswer::Queued) => None,
            Some(PollAnswer::Noop) => {
                return Poll::Ready(Bytes::from_static(b"6"));
            }
            Some(PollAnswer::Close) => Some(Frame::from(&engine::Packet::Close)),
        };
        Poll::Ready(state.outbox.take_payload(last.as_ref()))
    }

    /// Waits until the application has caught up with what the client sent; for good if that is the
    /// last that is taken of it.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let has_room = !state.is_draining && !state.inbox.is_full();
        if !has_room && state.protocol.closed().is_none() {
            state.room_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Returns the number of the socket for a stay in a namespace.
    pub(super) const fn socket_number(&self, id: NamespaceId) -> u64 {
        self.number << u16::BITS | id.get() as u64
    }
}

impl<A: Application> Link for Connection<A> {
    fn send(&self, socket: u64, frames: &[Frame], class: Class) -> Sent {
        self.change(|state| {
            if !state.protocol.is_connected(namespace_id(socket)) {
                return Sent::Closed;
            }
            let limits = self.server.config.outbox;
            let plain: SmallVec<[Frame; 1]> = if state.protocol.is_plain() {
                frames.iter().filter_map(Frame::to_plain).collect()
            } else {
                SmallVec::new()
            };
            let frames = if state.protocol.is_plain() {
                &plain
            } else {
                frames
            };
            let Ok(sent) = state.outbox.push(frames, class, limits) else {
                state.close(Reason::SlowConsumer);
                return Sent::Closed;
            };
            if sent == Sent::Queued && !frames.is_empty() {
                state.trace_last(socket);
            }
            sent
        })
    }

    fn progress(&self) -> Progress {
        let state = self.state.lock();
        let progress = state.outbox.progress();
        if progress == Progress::Waiting && state.protocol.closed().is_some() {
            Progress::Cut
        } else {
            progress
        }
    }

    fn is_open(&self, socket: u64) -> bool {
        self.state
            .lock()
            .protocol
            .is_connected(namespace_id(socket))
    }

    fn poll_drained(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.protocol.closed().is_some() {
            return Poll::Ready(());
        }
        state.outbox.poll_drained(self.server.config.outbox, cx)
    }

    fn disconnect(&self, socket: u64) {
        let id = namespace_id(socket);
        if self.with(|protocol, sink| protocol.disconnect(id, sink)) {
            self.change(|state| state.inbox.push(Item::Removed(id)));
        }
    }

    fn close(&self, reason: Reason) {
        self.close(reason);
    }
}

impl<S> State<S> {
    /// Has the span that this runs in followed, where it is recorded, until what was queued last for
    /// `socket` is written.
    fn trace_last(&mut self, socket: u64) {
        if trace::current().is_none() {
            return;
        }
        let mut span = Span::current(format_args!("write socket"), SpanKind::Producer);
        let mut sockets = self.sockets.iter();
        if let Some(socket) = sockets.find(|one| one.number() == socket) {
            span.set("socket.id", socket.id());
        }
        span.set(
            "network.protocol.name",
            match self.protocol.transport() {
                Transport::Polling => "polling",
                Transport::Websocket => "websocket",
            },
        );
        self.outbox.trace_last(span);
    }

    /// Returns the state machine, for a look.
    pub(super) const fn protocol(&self) -> &protocol::Connection {
        &self.protocol
    }

    /// Returns why the connection is over, if it is.
    pub(super) fn closed(&self) -> Option<Reason> {
        let closed = self.protocol.closed()?;
        Some(self.reason.unwrap_or(match closed {
            CloseReason::TransportClose => Reason::TransportClosed,
            CloseReason::TransportError => Reason::ProtocolError,
            CloseReason::PingTimeout => Reason::PingTimeout,
            CloseReason::ParseError => Reason::ProtocolError,
            CloseReason::ClientNamespaceDisconnect => Reason::ClientDisconnect,
            CloseReason::ServerNamespaceDisconnect => Reason::ServerDisconnect,
            CloseReason::ForcedServerClose => Reason::Kicked,
            CloseReason::ServerShuttingDown => Reason::Draining,
        }))
    }

    /// Takes what the WebSocket that is being probed has to do.
    pub(super) const fn take_probe_order(&mut self) -> ProbeOrder {
        mem::replace(&mut self.probe, ProbeOrder::None)
    }

    /// Has the WebSocket's task woken when there is something to write, or the connection is over.
    pub(super) fn set_websocket_waker(&mut self, waker: &Waker) {
        if !self
            .websocket_waker
            .as_ref()
            .is_some_and(|current| current.will_wake(waker))
        {
            self.websocket_waker = Some(waker.clone());
        }
    }

    /// Closes the connection if it drains and all is handled.
    pub(super) fn close_if_drained(&mut self) {
        if self.is_draining && self.worker == Worker::Idle && self.inbox.is_empty() {
            self.close(Reason::Draining);
        }
    }

    fn close(&mut self, reason: Reason) {
        if self.protocol.closed().is_some() {
            return;
        }
        self.reason = Some(reason);
        if reason == Reason::SlowConsumer {
            self.outbox.clear();
        }
        let Self {
            protocol,
            inbox,
            probe,
            ..
        } = self;
        protocol.close(CloseReason::ForcedServerClose, &mut |effect| match effect {
            Effect::DropProbe => *probe = ProbeOrder::Drop,
            Effect::Closed(_) => inbox.push(Item::Closed),
            Effect::Send(_)
            | Effect::Message(_)
            | Effect::Connect { .. }
            | Effect::Event { .. } => {}
            Effect::Left(_) | Effect::AnswerProbe | Effect::Upgraded => {}
        });
    }

    /// Takes the wakers of those for whom there may be something.
    fn take_wakers(&mut self) -> [Option<Waker>; 3] {
        let is_closed = self.protocol.closed().is_some();
        let has_output = !self.outbox.is_empty() || self.probe != ProbeOrder::None;
        let has_room = !self.is_draining && !self.inbox.is_full();
        [
            self.websocket_waker.take_if(|_| is_closed || has_output),
            self.room_waker.take_if(|_| is_closed || has_room),
            self.get_waker.take(),
        ]
    }
}

/// Returns the stay that a socket is.
const fn namespace_id(socket: u64) -> NamespaceId {
    let [.., high, low] = socket.to_be_bytes();
    NamespaceId::new(u16::from_be_bytes([high, low]))
}

/// Returns the time as the state machine counts it. Tests may move the clock.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn owned(event: &EventArgs<'_>, ack: Option<u64>, attachments: Vec<Bytes>) -> Event {
    let texts = event
        .args
        .iter()
        .map(|arg| arg.get())
        .collect::<SmallVec<[_; 4]>>();
    #[expect(clippy::expect_used, reason = "checked JSON between brackets is JSON")]
    let args = RawValue::from_string(format!("[{}]", texts.join(","))).expect("an array");
    Event {
        name: event.name.as_ref().into(),
        args: Args::new(args),
        attachments,
        ack,
    }
}
