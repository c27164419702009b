//! What is queued for one socket, each event with the offset that tells where the socket stands
//! then. This is the only way to a client of the chat.
//!
//! The places are locked while something is queued: an offset never tells of a message that is
//! queued behind it.

use std::{borrow::Cow, sync::Arc};

use chat_domain::{ConversationId, Seq};
use socketio_protocol::Frame;

use super::{ChatSocket, Offered, Places, RecoveryKey, Session, SessionTag};
use crate::transport::{Class, Sent};

/// What makes a session one that its client can come back to.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Recovery {
    pub key: Arc<RecoveryKey>,
    pub tag: SessionTag,
}

impl Session {
    /// Queues an event for the client of `socket`, whose session this is.
    pub fn send(&self, socket: &ChatSocket, event: &Frame, class: Class) -> Sent {
        let places = self.places.lock();
        socket.send(&self.with_offset(event, &places), class)
    }

    /// Queues a message if it is the next one of its conversation for the socket. With `None` it
    /// needs no telling.
    pub fn offer(
        &self,
        socket: &ChatSocket,
        conversation: ConversationId,
        at: (u64, Seq),
        event: Option<&Frame>,
    ) -> Offered {
        self.places
            .lock()
            .offer(conversation, at, |places| self.queue(socket, event, places))
    }

    /// Queues a message that was fetched for the socket, unless it has that.
    pub fn fill(
        &self,
        socket: &ChatSocket,
        conversation: ConversationId,
        at: (u64, Seq),
        event: Option<&Frame>,
    ) -> Offered {
        self.places
            .lock()
            .fill(conversation, at, |places| self.queue(socket, event, places))
    }

    fn queue(&self, socket: &ChatSocket, event: Option<&Frame>, places: &Places) -> Sent {
        event.map_or(Sent::Queued, |event| {
            socket.send(&self.with_offset(event, places), Class::Refillable)
        })
    }

    /// Runs `f` on where the socket stands.
    pub fn with_places<T>(&self, f: impl FnOnce(&mut Places) -> T) -> T {
        f(&mut self.places.lock())
    }

    fn with_offset<'a>(&self, event: &'a Frame, places: &Places) -> Cow<'a, Frame> {
        let Some(Recovery { key, tag }) = &self.recovery else {
            return Cow::Borrowed(event);
        };
        let owner = (&self.app.id, &self.user.id);
        let offset = key.offset(owner, *tag, places, service_kit::now());
        Cow::Owned(event.with_argument(&offset))
    }
}
