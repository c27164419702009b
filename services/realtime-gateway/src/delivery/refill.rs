//! Sockets that are behind: what they miss is fetched from the store, at the pace of their clients.
//!
//! A client that came back, one that reads slowly, and one whose gateway lost more than it repairs
//! for all are the same here. There is a task for a socket only while it is behind; it waits for
//! its own socket and holds nothing that others need meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use chat_domain::{ChatError, ConversationId, ErrorKind, Message, Seq};
use chat_proto::{subject, v1};
use dialects::Fact;
use prost::Message as _;
use service_kit::TraceParent;
use tokio::time::{Instant, timeout_at};

use super::{
    Delivery, SETTLE, Tracker, encode,
    repair::{BACKOFF, MAX_FRUITLESS, MAX_RANGE},
};
use crate::{
    journal::{Way, What},
    metrics::Metric,
    random,
    registry::{Positions, UserKey},
    session::{ChatSocket, Offered, Places},
    store,
    transport::Reason,
    wire,
};

/// How far a socket may be behind in a conversation for all of it to be sent.
const MAX_MISSED: u64 = 5_000;
/// How many messages are queued before others have their turn.
const STRIDE: usize = 64;

/// The socket is gone.
struct Gone;

impl Delivery {
    /// Returns where the user's conversations stand for this gateway, and whether these are all; in
    /// no order. `None` for somebody of whose places nothing is known.
    #[must_use]
    pub fn standing(&self, user: &UserKey) -> Option<store::Opened> {
        let complete = match self.registry.positions(user)? {
            Positions::Complete => true,
            Positions::Partial => false,
            Positions::Unknown => return None,
        };
        let mut heads = Vec::new();
        let mut epochs = Vec::new();
        for conversation in self.registry.conversations(user) {
            let place = |tracker: &mut Tracker<_>, _app: &_| {
                let last = Seq(tracker.next().0.saturating_sub(1));
                (tracker.epoch(), last)
            };
            let (epoch, last) = self.conversations.with(conversation, place)?;
            heads.push((conversation, last));
            epochs.push(epoch);
        }
        let epoch = epochs.first().copied().unwrap_or_default();
        Some(store::Opened {
            changed_at: Vec::new(),
            heads,
            // Of several generations nothing can be said.
            complete: complete && epochs.iter().all(|one| *one == epoch && *one != 0),
            epoch,
        })
    }

    /// Compares where a socket that has just come stands with what was delivered here, and sees to
    /// what it misses.
    pub fn arrived(self: &Arc<Self>, socket: &ChatSocket) {
        let key = socket.session().key();
        for conversation in self.registry.conversations(&key) {
            let head = self.conversations.with(conversation, |tracker, _app| {
                (tracker.epoch(), Seq(tracker.next().0.saturating_sub(1)))
            });
            if let Some(head) = head {
                self.observe(socket, conversation, head);
            }
        }
    }

    /// Tells all gateways that the client of a socket has come back over this connection: older ones
    /// are dead, whether anybody knows yet or not.
    pub fn moved(&self, socket: &ChatSocket) {
        let user = socket.session().key();
        let Some((tag, began)) = socket.session().connection() else {
            return;
        };
        let moved = v1::SessionMoved {
            session: Bytes::copy_from_slice(tag.as_bytes()),
            at_ms: began.0,
        };
        let envelope = v1::Envelope {
            version: 1,
            app: user.app.as_str().to_owned(),
            targets: vec![user.user.as_str().to_owned()],
            traceparent: TraceParent::current().to_string(),
            body: Some(v1::envelope::Body::SessionMoved(moved)),
            ..v1::Envelope::default()
        };
        let subject = subject::user(&user.app, &user.user);
        self.publisher
            .publish(subject, envelope.encode_to_vec().into());
    }

    /// Fetches what a socket misses. To be called by whoever was told that it is behind first.
    pub fn refill(self: &Arc<Self>, socket: &ChatSocket) {
        let (delivery, socket) = (Arc::clone(self), socket.clone());
        self.tasks.spawn(async move {
            // A socket that is gone needs nothing.
            let _ = delivery.fill(&socket).await;
        });
    }

    /// Waits a little until a socket that is behind has a message, so that what is said of it does
    /// not come before it.
    pub async fn reached(&self, socket: &ChatSocket, conversation: ConversationId, seq: Seq) {
        let deadline = Instant::now() + SETTLE;
        loop {
            let caught_up = self.caught_up.notified();
            let session = socket.session();
            if !session.with_places(|places| places.awaits(conversation, seq)) {
                return;
            }
            if timeout_at(deadline, caught_up).await.is_err() {
                return;
            }
        }
    }

    /// Notes at once where a user's sockets stand in a conversation, for a store that asks.
    pub(super) fn note_standing(&self, user: &UserKey, conversation: ConversationId) {
        for socket in self.registry.sockets(user).iter() {
            let (after, standing) = socket
                .session()
                .with_places(|places| places.standing(conversation));
            let message = (conversation, after.unwrap_or_default());
            self.journal.note(socket, message, What::Stands(standing));
        }
        self.journal.ask();
    }

    /// Tells a socket how far a conversation is.
    pub(super) fn observe(
        self: &Arc<Self>,
        socket: &ChatSocket,
        conversation: ConversationId,
        (epoch, head): (u64, Seq),
    ) {
        let session = socket.session();
        if session.with_places(|places| places.observe(conversation, epoch, head)) {
            self.refill(socket);
        }
    }

    /// Fetches and queues until nothing is missing.
    async fn fill(&self, socket: &ChatSocket) -> Result<(), Gone> {
        let (mut pause, mut n_fruitless) = (BACKOFF.0, 0);
        let next = || socket.session().with_places(Places::missing);
        while let Some((conversation, after)) = next() {
            socket.drained().await;
            let outcome = self.fetch_for(socket, conversation, after).await;
            let label = match &outcome {
                Ok(range) if range.messages.is_empty() => "fruitless",
                Ok(_) => "progress",
                Err(_) => "failed",
            };
            metrics::counter!(Metric::Refills.name(), "outcome" => label).increment(1);
            match outcome {
                Ok(range) if !range.messages.is_empty() => {
                    (pause, n_fruitless) = (BACKOFF.0, 0);
                    self.queue_range(socket, &range).await?;
                    continue;
                }
                // The store is the authority: what it does not know does not exist.
                Ok(_) if MAX_FRUITLESS <= n_fruitless => {
                    let session = socket.session();
                    session.with_places(|places| places.give_up(conversation));
                    continue;
                }
                Ok(_) => n_fruitless += 1,
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, conversation.id = %conversation, "socket stays behind");
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, conversation.id = %conversation, "socket cannot catch up");
                    socket.close_transport(Reason::InternalError);
                    return Err(Gone);
                }
            }
            if !socket.is_open() {
                return Err(Gone);
            }
            tokio::time::sleep(random::jitter(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
        Ok(())
    }

    async fn fetch_for(
        &self,
        socket: &ChatSocket,
        conversation: ConversationId,
        after: Seq,
    ) -> Result<store::Range, ChatError> {
        // Never closed.
        let _permit = self.fetches.acquire().await;
        let session = socket.session();
        let app = &session.app().id;
        let range = self
            .store
            .range(app, conversation, after, MAX_RANGE)
            .await?;
        if range.conversation.participant(&session.user().id).is_none() {
            return Err(ChatError::NotParticipant);
        }
        Ok(range)
    }

    /// Queues fetched messages, waiting for the client as often as needed.
    async fn queue_range(&self, socket: &ChatSocket, range: &store::Range) -> Result<(), Gone> {
        let (conversation, head) = (range.conversation.id, range.conversation.last_seq);
        let first = range.messages.first().map_or(head, |message| message.seq);
        if MAX_MISSED < head.0.saturating_sub(first.0) {
            self.tell_resync(socket, conversation, head);
            return Ok(());
        }
        for (n, message) in range.messages.iter().enumerate() {
            self.queue_fetched(socket, range, message).await?;
            if n % STRIDE == STRIDE - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.caught_up.notify_waiters();
        Ok(())
    }

    async fn queue_fetched(
        &self,
        socket: &ChatSocket,
        range: &store::Range,
        message: &Message,
    ) -> Result<(), Gone> {
        let session = socket.session();
        let conversation = range.conversation.id;
        let terms = session.terms();
        let frame = encode(terms, &range.conversation, message).event.frame;
        loop {
            let at = (range.epoch, message.seq);
            let offered = session.fill(socket, conversation, at, frame.as_ref());
            if let Some(what) = What::of(offered, Way::Refill, socket, conversation) {
                self.journal.note(socket, (conversation, message.seq), what);
            }
            match offered {
                Offered::Queued => {
                    metrics::counter!(Metric::Deliveries.name()).increment(1);
                    if message.delivered_at.is_none() && message.sender != session.user().id {
                        self.receipts.note(&session.key(), conversation, message.id);
                    }
                    return Ok(());
                }
                Offered::Behind { .. } => socket.drained().await,
                Offered::Unneeded => return Ok(()),
                Offered::Closed => return Err(Gone),
                Offered::Lost => {
                    socket.close_transport(Reason::Kicked);
                    return Err(Gone);
                }
            }
        }
    }

    /// Tells a socket that it was not told everything in a conversation.
    fn tell_resync(&self, socket: &ChatSocket, conversation: ConversationId, head: Seq) {
        metrics::counter!(Metric::Resyncs.name()).increment(1);
        let session = socket.session();
        session.with_places(|places| places.skip(conversation, head));
        self.journal
            .note(socket, (conversation, head), What::Skipped);
        wire::tell(socket, &Fact::Resync(&[(conversation, head)]));
        self.caught_up.notify_waiters();
    }
}
