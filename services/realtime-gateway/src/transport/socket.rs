//! The application's handle of one namespace of one connection. Holds no queue of its own.

use std::{
    fmt,
    future::poll_fn,
    hash::{Hash, Hasher},
    sync::Arc,
    task::{Context, Poll},
};

use socketio_protocol::{Frame, packet};

use super::{Class, Progress, Reason, Sent, sid};

/// The connection below a socket, as the socket sees it.
///
/// Implemented by connections, and by test doubles of the application's tests.
pub trait Link: Send + Sync {
    /// Queues frames for the client, one right after the other. Never waits.
    fn send(&self, socket: u64, frames: &[Frame], class: Class) -> Sent;

    /// Tells whether the transport took what was queued.
    fn progress(&self) -> Progress;

    /// Tells whether the client is still in the namespace of `socket`.
    fn is_open(&self, socket: u64) -> bool;

    /// Waits until there is room for what is [`Class::Refillable`], or the connection is over.
    fn poll_drained(&self, cx: &Context<'_>) -> Poll<()>;

    /// Leaves the namespace of `socket`.
    fn disconnect(&self, socket: u64);

    /// Closes the connection with all its sockets.
    fn close(&self, reason: Reason);
}

/// One namespace of one connection.
///
/// Clones are the same socket. It stays usable as a value after the client is gone: sends then
/// return [`Sent::Closed`].
pub struct Socket<S>(Arc<Inner<S>>);

struct Inner<S> {
    number: u64,
    id: SocketId,
    namespace: Arc<str>,
    link: Arc<dyn Link>,
    session: S,
}

impl<S> Socket<S> {
    /// Creates the socket `number` on `link`.
    pub fn new(
        number: u64,
        id: SocketId,
        namespace: Arc<str>,
        link: Arc<dyn Link>,
        session: S,
    ) -> Self {
        Self(Arc::new(Inner {
            number,
            id,
            namespace,
            link,
            session,
        }))
    }

    /// Returns the number, which no other socket of this process ever has.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Returns the `socket.id` that the client knows. It says nothing of the Engine.IO `sid`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.id.as_str()
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Returns what the application remembers of the socket.
    #[must_use]
    pub fn session(&self) -> &S {
        &self.0.session
    }

    /// Queues an encoded packet, which must be one of this socket's namespace. Never waits.
    pub fn send(&self, frame: &Frame, class: Class) -> Sent {
        self.send_all(std::slice::from_ref(frame), class)
    }

    /// Queues frames that belong together: a binary event and its attachments.
    pub fn send_all(&self, frames: &[Frame], class: Class) -> Sent {
        self.0.link.send(self.0.number, frames, class)
    }

    /// Queues an event whose arguments are JSON texts. The chat does not: its events carry offsets.
    #[expect(clippy::must_use_candidate, reason = "it is done for its effect")]
    pub fn emit(&self, name: &str, args: &[&str]) -> Sent {
        let packet = packet::encode_event(self.namespace(), None, name, args);
        self.send(&Frame::text(&packet), Class::Message)
    }

    /// Tells whether the transport took what was queued.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.link.progress()
    }

    /// Tells whether the client is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.link.is_open(self.number())
    }

    /// Waits until the client has read most of what is queued, or is gone.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<'_, S> {
        let link = &*self.0.link;
        poll_fn(|cx| link.poll_drained(cx))
    }

    /// Queues the acknowledgement of the event that asked for `ack`.
    #[expect(clippy::must_use_candidate, reason = "it is done for its effect")]
    pub fn ack(&self, ack: u64, args: &[&str]) -> Sent {
        let packet = packet::encode_ack(self.namespace(), ack, args);
        self.send(&Frame::text(&packet), Class::Message)
    }

    /// Leaves the namespace. A stock client does not come back by itself after this.
    pub fn disconnect(&self) {
        self.0.link.disconnect(self.0.number);
    }

    /// Closes the connection. A stock client reconnects.
    pub fn close_transport(&self, reason: Reason) {
        self.0.link.close(reason);
    }
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> PartialEq for Socket<S> {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl<S> Eq for Socket<S> {}

impl<S> Hash for Socket<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number().hash(state);
    }
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("number", &self.number())
            .finish_non_exhaustive()
    }
}

/// A `socket.id`: 20 characters that cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketId([u8; 20]);

impl SocketId {
    /// Draws one.
    #[must_use]
    pub fn random() -> Self {
        Self::new(sid::random())
    }

    /// Encodes 15 bytes that nobody can guess.
    #[must_use]
    pub fn new(random: [u8; 15]) -> Self {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

        let mut text = [b'-'; 20];
        // 15 bytes are exactly 20 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        Self(text)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
