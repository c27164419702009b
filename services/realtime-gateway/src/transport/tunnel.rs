//! A client's WebSocket whose session is at another replica: bytes here are bytes there. It reads no
//! frame, and holds no byte: what one side has no room for stays with the other.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{
    Application,
    server::{Shared, Slot},
    stream::Stream,
    websocket::BUFFER,
};
use crate::{metrics::Metric, peers::PeerStream};

struct Tunnel {
    client: Stream,
    there: PeerStream,
    /// What was read of either already: of the client, and for the client.
    early: (Bytes, Bytes),
    /// Whether the client, and whether the other replica has ended.
    ended: (bool, bool),
}

/// Joins `client` and the stream to its session until either is over, or this replica sends its
/// clients away.
pub(super) async fn serve<A: Application>(
    slot: Slot<A>,
    client: Stream,
    there: PeerStream,
    early: (Bytes, Bytes),
) {
    let server = Arc::clone(slot.server());
    let _open = Open::new(&server);
    let mut tunnel = Tunnel {
        client,
        there,
        early,
        ended: (false, false),
    };
    let mut end = pin!(server.tunnel_ends.acquire());
    poll_fn(|cx| {
        if let Poll::Ready(permit) = end.as_mut().poll(cx) {
            permit
                .into_iter()
                .for_each(tokio::sync::SemaphorePermit::forget);
            return Poll::Ready(());
        }
        // However it ends, dropping both ends both.
        tunnel.poll(cx).map(drop)
    })
    .await;
}

impl Tunnel {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let up = self.poll_up(cx)?;
        let down = self.poll_down(cx)?;
        match (up, down) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            (Poll::Pending, _) | (_, Poll::Pending) => Poll::Pending,
        }
    }

    /// Moves what the client sends.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended.0 {
            let room = ready!(self.there.poll_room(cx))?;
            if !self.early.0.is_empty() {
                let n = ready!(Pin::new(&mut self.there).poll_write(cx, &self.early.0))?;
                self.early.0.advance(n);
                continue;
            }
            let Self { client, there, .. } = self;
            let n = BUFFER.with_borrow_mut(|buffer| {
                let room = room.min(buffer.len());
                let mut buffer = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
                ready!(Pin::new(&mut *client).poll_read(cx, &mut buffer))?;
                match buffer.filled() {
                    [] => Poll::Ready(Ok(0)),
                    // All of it fits.
                    bytes => Pin::new(&mut *there).poll_write(cx, bytes),
                }
            });
            if ready!(n)? == 0 {
                ready!(Pin::new(&mut self.there).poll_shutdown(cx))?;
                self.ended.0 = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Moves what is for the client.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended.1 {
            if !self.early.1.is_empty() {
                let n = ready!(Pin::new(&mut self.client).poll_write(cx, &self.early.1))?;
                self.early.1.advance(n);
                continue;
            }
            let client = &mut self.client;
            let n = self.there.poll_take(cx, |cx, bytes| match bytes {
                [] => Poll::Ready(Ok(0)),
                bytes => Pin::new(client).poll_write(cx, bytes),
            });
            if n.is_pending() {
                // TLS may hold some of it.
                let _ = Pin::new(&mut self.client).poll_flush(cx)?;
            }
            if ready!(n)? == 0 {
                ready!(Pin::new(&mut self.client).poll_shutdown(cx))?;
                self.ended.1 = true;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Counts a tunnel for as long as it is open.
struct Open<'a, A: Application>(&'a Shared<A>);

impl<'a, A: Application> Open<'a, A> {
    fn new(server: &'a Shared<A>) -> Self {
        server.n_tunnels.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!(Metric::Tunnels.name()).increment(1.0);
        Self(server)
    }
}

impl<A: Application> Drop for Open<'_, A> {
    fn drop(&mut self) {
        self.0.n_tunnels.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(Metric::Tunnels.name()).decrement(1.0);
    }
}
