//! What one client sent and nobody has handled yet. Bounded by whoever reads from the client: it
//! stops when [`Inbox::is_full`].

use std::{collections::VecDeque, sync::Arc};

use serde_json::value::RawValue;
use socketio_protocol::connection::NamespaceId;

use super::Event;

/// Things in the order in which they happened, without memory of its own while it is empty.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    items: VecDeque<Item>,
    n_bytes: usize,
}

/// A thing to handle.
#[derive(Debug)]
pub(super) enum Item {
    /// The client asks for a namespace.
    Connect {
        id: NamespaceId,
        namespace: Arc<str>,
        auth: Option<Box<RawValue>>,
    },
    /// The client sent an event.
    Event(NamespaceId, Event),
    /// The client left a namespace.
    Left(NamespaceId),
    /// The server removed the client from a namespace.
    Removed(NamespaceId),
    /// The connection is over.
    Closed,
}

impl Inbox {
    const MAX_ITEMS: usize = 256;
    const MAX_BYTES: usize = 1_000_000;

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the client has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= Self::MAX_ITEMS || self.n_bytes >= Self::MAX_BYTES
    }

    pub(super) fn push(&mut self, item: Item) {
        self.n_bytes += item.n_bytes();
        self.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.pop_if(|_| true)
    }

    /// Takes the next item, if `condition` holds for it.
    pub(super) fn pop_if(&mut self, condition: impl FnOnce(&Item) -> bool) -> Option<Item> {
        self.items.front().filter(|item| condition(item))?;
        let item = self.items.pop_front()?;
        self.n_bytes -= item.n_bytes();
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
        Some(item)
    }
}

impl Item {
    fn n_bytes(&self) -> usize {
        match self {
            Self::Connect { auth, .. } => auth.as_ref().map_or(0, |auth| auth.get().len()),
            Self::Event(_, event) => {
                let attachments = event
                    .attachments
                    .iter()
                    .map(bytes::Bytes::len)
                    .sum::<usize>();
                event.name.len() + event.args.as_json().len() + attachments
            }
            Self::Left(_) => 0,
            Self::Removed(_) => 0,
            Self::Closed => 0,
        }
    }
}
