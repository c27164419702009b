//! One WebSocket: the task that reads, writes and keeps the time. It decides nothing; the state
//! machine does.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socketio_protocol::{
    CloseReason, ProtocolError,
    engine::Transport,
    ws::{self, CloseCode, Decoder, Message, OpCode},
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    Application, Reason,
    connection::{Connection, ProbeOrder, State, now},
    stream::Stream,
};

/// The most pings and pongs of the WebSocket protocol between two ticks.
const MAX_CONTROL_FRAMES: u16 = 128;
/// Time that a client gets to read what is left and to close.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read at once.
const READ_BUFFER: usize = 32 * 1024;

thread_local! {
    /// Shared by all connections of a thread: what is read is used before the next is polled.
    pub(super) static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into());
}

/// What a WebSocket is to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It carries the connection.
    Carrier,
    /// The client tries it while polling carries the connection.
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// What is queued is still written, then a close frame, until the instant.
    Closing(Instant),
    /// All is written. The client's end is awaited until the instant, lest the kernel throw away
    /// what the client has not read.
    Lingering(Instant),
}

struct WebSocket<A: Application> {
    connection: Arc<Connection<A>>,
    stream: Stream,
    decoder: Decoder,
    /// Control frames, written between two frames of the outbox.
    control: Vec<u8>,
    phase: Phase,
    role: Role,
    n_control_frames: u16,
    /// The code to close with, where a frame was at fault.
    close_code: Option<CloseCode>,
    /// Since when nothing could be written.
    stalled_since: Option<Instant>,
}

/// Serves `stream` until it is closed. `early` is what was read of it already.
pub(super) fn serve<A: Application>(
    connection: Arc<Connection<A>>,
    stream: Stream,
    early: &[u8],
    role: Role,
) -> impl Future<Output = ()> + Send + use<A> {
    let mut socket = WebSocket {
        decoder: Decoder::new(connection.server.config.protocol.max_payload),
        connection,
        stream,
        control: Vec::new(),
        phase: Phase::Open,
        role,
        n_control_frames: 0,
        close_code: None,
        stalled_since: None,
    };
    if !early.is_empty() {
        socket.take(&mut early.to_vec());
    }
    // Both live in the task from here on, once each: this is most of what a connection costs.
    async move {
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|cx| socket.poll(cx, timer.as_mut())).await;
        socket.end();
    }
}

/// Closes a WebSocket that nobody serves.
pub(super) async fn turn_away(mut stream: Stream) {
    let close = async {
        stream
            .write_all(&ws::close_frame(CloseCode::POLICY_VIOLATION))
            .await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // Whether the client saw it makes no difference.
    let _ = timeout(LINGER, close).await;
}

impl<A: Application> WebSocket<A> {
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        loop {
            let Ok(deadline) = self.write(cx) else {
                return Poll::Ready(());
            };
            if deadline < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_ready() {
                if self.phase != Phase::Open {
                    return Poll::Ready(());
                }
                self.tick();
                continue;
            }
            if ready!(self.poll_read(cx)).is_err() {
                return Poll::Ready(());
            }
        }
    }

    /// Writes all that there is and fits, has itself woken for more, and returns when
    /// [`tick`](Self::tick) is due.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Instant> {
        let connection = Arc::clone(&self.connection);
        let mut state = connection.lock();
        self.take_orders(&mut state)?;

        let mark = state.outbox.mark();
        let outcome = self.poll_write(&mut state, cx)?;
        let has_advanced = state.outbox.mark() != mark;
        match outcome {
            Poll::Ready(()) => self.stalled_since = None,
            Poll::Pending if has_advanced => self.stalled_since = Some(Instant::now()),
            Poll::Pending => {
                self.stalled_since.get_or_insert_with(Instant::now);
            }
        }

        state.set_websocket_waker(cx.waker());
        Ok(match self.phase {
            Phase::Closing(by) => by,
            Phase::Lingering(by) => by,
            Phase::Open => {
                let due = Instant::from_std(state.protocol().deadline());
                let stall = connection.server.config.stall_timeout;
                self.stalled_since
                    .map_or(due, |since| due.min(since + stall))
            }
        })
    }

    /// Does what the connection wants of this WebSocket.
    fn take_orders(&mut self, state: &mut State<A::Session>) -> io::Result<()> {
        if self.phase != Phase::Open {
            return Ok(());
        }
        let order = match self.role {
            Role::Carrier => ProbeOrder::None,
            Role::Probe => state.take_probe_order(),
        };
        match (order, state.closed()) {
            // It reads nothing; a close frame would only wait behind the rest.
            (_, Some(Reason::SlowConsumer)) => return Err(io::ErrorKind::TimedOut.into()),
            (ProbeOrder::Drop, _) | (_, Some(_)) => {
                self.phase = Phase::Closing(Instant::now() + LINGER);
            }
            (ProbeOrder::Answer, None) => {
                self.control
                    .extend_from_slice(&ws::frame(OpCode::Text, b"3probe"));
            }
            (ProbeOrder::None, None) => {}
        }
        Ok(())
    }

    fn poll_write(
        &mut self,
        state: &mut State<A::Session>,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        loop {
            if state.outbox.is_at_boundary() && !self.control.is_empty() {
                match Pin::new(&mut self.stream).poll_write(cx, &self.control)? {
                    Poll::Ready(n) => drop(self.control.drain(..n)),
                    Poll::Pending => return Ok(Poll::Pending),
                }
                if self.control.is_empty() {
                    self.control = Vec::new();
                }
            } else if self.role == Role::Carrier && !state.outbox.is_empty() {
                if state.outbox.poll_write(&mut self.stream, cx)?.is_pending() {
                    return Ok(Poll::Pending);
                }
            } else if let Phase::Closing(by) = self.phase {
                let code = self
                    .close_code
                    .unwrap_or_else(|| close_code(state.closed()));
                self.control = ws::close_frame(code).into();
                self.phase = Phase::Lingering(by);
            } else if let Phase::Lingering(_) = self.phase {
                return Ok(Pin::new(&mut self.stream).poll_shutdown(cx)?);
            } else {
                // TLS may hold some of it.
                return Ok(Pin::new(&mut self.stream).poll_flush(cx)?);
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.connection.poll_room(cx));
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            match buffer.filled_mut() {
                [] => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                bytes if self.phase == Phase::Open => self.take(bytes),
                _ => {}
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Takes what was read.
    fn take(&mut self, bytes: &mut [u8]) {
        let now = now();
        let Self {
            decoder,
            control,
            role,
            n_control_frames,
            ..
        } = self;
        let outcome = self.connection.with(|protocol, sink| {
            let outcome = decoder.decode(bytes, |message| match (message, *role) {
                (Message::Text(text), Role::Carrier) => protocol.text(text, now, sink),
                (Message::Binary(data), Role::Carrier) => protocol.binary(data, now, sink),
                (Message::Close(_), Role::Carrier) => {
                    protocol.close(CloseReason::TransportClose, sink);
                }
                (Message::Text(text), Role::Probe) => {
                    protocol.probe(text, sink);
                    if protocol.transport() == Transport::Websocket {
                        *role = Role::Carrier;
                    }
                }
                (Message::Binary(_) | Message::Close(_), Role::Probe) => protocol.end_probe(sink),
                (Message::Ping(data), _) => {
                    *n_control_frames = n_control_frames.saturating_add(1);
                    if *n_control_frames <= MAX_CONTROL_FRAMES {
                        control.extend_from_slice(&ws::frame(OpCode::Pong, data));
                    }
                }
                (Message::Pong(_), _) => {
                    *n_control_frames = n_control_frames.saturating_add(1);
                    protocol.pong(now);
                }
            });
            match (outcome, *role) {
                (Ok(()), _) => {}
                (Err(error), Role::Carrier) => protocol.fail(ProtocolError::Ws(error), sink),
                (Err(_), Role::Probe) => protocol.end_probe(sink),
            }
            outcome
        });
        self.close_code = outcome.err().map(ws::WsError::close_code);
        if self.n_control_frames > MAX_CONTROL_FRAMES {
            self.connection.close(Reason::Flood);
        }
    }

    fn tick(&mut self) {
        self.n_control_frames = 0;
        self.connection
            .with(|protocol, sink| protocol.tick(now(), sink));
        let stall = self.connection.server.config.stall_timeout;
        if self
            .stalled_since
            .is_some_and(|since| since + stall <= Instant::now())
        {
            self.connection.close(Reason::SlowConsumer);
        }
    }

    /// Tells the connection that this WebSocket is gone, unless it said so first.
    fn end(&self) {
        if self.phase == Phase::Open {
            self.connection.with(|protocol, sink| match self.role {
                Role::Carrier => protocol.close(CloseReason::TransportClose, sink),
                Role::Probe => protocol.end_probe(sink),
            });
        }
    }
}

/// Returns the code that tells a client why; all of them make stock clients come back.
fn close_code(reason: Option<Reason>) -> CloseCode {
    match reason {
        Some(Reason::ProtocolError) => CloseCode::PROTOCOL_ERROR,
        Some(Reason::SlowConsumer | Reason::Flood | Reason::Kicked | Reason::Superseded) => {
            CloseCode::POLICY_VIOLATION
        }
        Some(Reason::InternalError) => CloseCode::INTERNAL_ERROR,
        Some(Reason::Draining) => CloseCode::SERVICE_RESTART,
        Some(Reason::ClientDisconnect | Reason::ServerDisconnect) => CloseCode::NORMAL,
        Some(Reason::TransportClosed | Reason::PingTimeout) => CloseCode::NORMAL,
        None => CloseCode::NORMAL,
    }
}
