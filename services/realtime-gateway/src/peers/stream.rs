//! The stream as its users hold it: bytes in, bytes out, like a TCP connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Cell, Failure, Peers, flow::Flow};

/// One end of a stream to another gateway.
///
/// Dropping it before [`poll_shutdown`](AsyncWrite::poll_shutdown) breaks the stream off.
pub struct PeerStream {
    cell: Arc<Cell>,
    peers: Arc<Peers>,
}

impl PeerStream {
    pub(super) const fn new(cell: Arc<Cell>, peers: Arc<Peers>) -> Self {
        Self { cell, peers }
    }

    /// Returns what tells why the stream failed, for as long as somebody wants to know.
    #[must_use]
    pub fn fate(&self) -> Fate {
        Fate(Arc::clone(&self.cell))
    }

    /// Waits for room, and returns how many bytes a write takes without waiting.
    ///
    /// # Errors
    ///
    /// Returns the [`Failure`] that ended the stream.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        self.peers.change(&self.cell, |state| {
            check(&state.flow)?;
            let room = state.flow.room();
            if room == 0 {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(room))
        })
    }

    /// Waits for bytes and hands them to `take`, which returns how many it has used. There are none
    /// at the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns the [`Failure`] that ended the stream, or what `take` does.
    pub fn poll_take(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.peers.change(&self.cell, |state| {
            check(&state.flow)?;
            if state.flow.arrived().is_empty() && !state.flow.is_at_end() {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let taken = take(cx, state.flow.arrived());
            if let Poll::Ready(Ok(n)) = taken {
                state.flow.take(n);
            } else {
                // A failure ends the wait as well.
                state.reader = Some(cx.waker().clone());
            }
            taken
        })
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_take(cx, |_, arrived| {
            let n = arrived.len().min(buffer.remaining());
            buffer.put_slice(arrived.get(..n).unwrap_or_default());
            Poll::Ready(Ok(n))
        })
        .map_ok(drop)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.peers.change(&self.cell, |state| {
            check(&state.flow)?;
            if state.flow.room() == 0 {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(state.flow.write(bytes)))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this direction. What was written still goes out.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.peers.change(&self.cell, |state| {
            check(&state.flow)?;
            state.flow.end();
            Poll::Ready(Ok(()))
        })
    }
}

impl Drop for PeerStream {
    fn drop(&mut self) {
        self.peers
            .change(&self.cell, |state| state.flow.abandon(super::now()));
    }
}

/// Tells what became of a stream.
pub struct Fate(Arc<Cell>);

impl Fate {
    /// Returns why the stream was over before its time, if it was.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.0.state.lock().flow.failure()
    }
}

fn check(flow: &Flow) -> io::Result<()> {
    match flow.failure() {
        None => Ok(()),
        Some(failure) => Err(io::Error::new(io::ErrorKind::ConnectionReset, failure)),
    }
}
