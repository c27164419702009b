//! From what the stores published to the sockets of this gateway.
//!
//! A message event, whichever way it comes (NATS, an append of our own, a fetched range), goes
//! through the [`Tracker`] of its conversation, is encoded once and queued for every socket that
//! hears the conversation. Receipts and typing are handed on as they come. What is deliberately
//! absent: waiting for a socket, and trust in an event that skips a place.

mod delay;
mod inbox;
mod receipts;
mod refill;
mod repair;
mod tracker;

use std::{fmt, sync::Arc, time::Duration};

use chat_domain::{AppId, Conversation, ConversationId, Dialect, Message, MessageId, Seq, UserId};
use dialects::{Fact, Terms};
use service_kit::{Span, SpanKind, apps::Apps};
use smallvec::SmallVec;
use socketio_protocol::Frame;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

pub use delay::DelayLine;
pub use inbox::DeliveryInbox;
pub use receipts::Receipts;
pub use tracker::{Item, Offered, Tracker};

use crate::{
    journal::{Journal, Way, What},
    metrics::Metric,
    ports::Publisher,
    registry::{Conversations, Registry, Sockets, UserKey},
    session::{self, ChatSocket, Origin},
    store::Store,
    transport::{Class, Reason},
    wire,
};

/// How long a sender's confirmation waits for messages before its own.
const SETTLE: Duration = Duration::from_secs(2);
/// How soon after a join its conversation is checked: interest may not have spread before.
const AFTER_JOIN: Duration = Duration::from_secs(2);
/// How many joins may wait for their check; others wait for the regular one.
const MAX_JOINS: usize = 100_000;
/// How many ranges are fetched at once.
const MAX_FETCHES: usize = 32;

/// A stored message on its way to sockets.
#[derive(Debug)]
pub struct Appended {
    message: MessageId,
    sender: UserId,
    seq: Seq,
    /// `None` where the dialect has no words for it.
    frame: Option<Frame>,
    /// What those whom it is for hear right behind it.
    behind: Vec<Frame>,
    way: Way,
    /// The socket here that sent it, if the confirmation is all that it hears of it.
    silent: Option<u64>,
    /// Dropped when the message was delivered or needs no delivery.
    settled: Option<oneshot::Sender<()>>,
    /// From when it was heard of until all sockets here have it queued.
    span: Span,
}

/// The fan-out of this gateway.
pub struct Delivery {
    apps: Arc<Apps>,
    registry: Arc<Registry>,
    conversations: Arc<Conversations>,
    store: Store,
    receipts: Arc<Receipts>,
    publisher: Arc<dyn Publisher>,
    journal: Arc<Journal>,
    /// Tells our own origins from others'.
    replica: u64,
    tasks: TaskTracker,
    fetches: Semaphore,
    resumed: Notify,
    /// Notified when a socket that was behind has caught up in a conversation.
    caught_up: Notify,
    joins: DelayLine<(AppId, ConversationId)>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

/// The participants of a conversation who are here, with their sockets.
type Locals = SmallVec<[(UserKey, Sockets); 2]>;

impl Delivery {
    /// Makes the fan-out. Work that outlives a call runs on `tasks`.
    #[must_use]
    pub fn new(
        apps: Arc<Apps>,
        registry: Arc<Registry>,
        store: Store,
        receipts: Arc<Receipts>,
        (publisher, journal): (Arc<dyn Publisher>, Arc<Journal>),
        replica: u64,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            apps,
            conversations: registry.trackers(),
            registry,
            store,
            receipts,
            publisher,
            journal,
            replica,
            tasks,
            fetches: Semaphore::new(MAX_FETCHES),
            resumed: Notify::new(),
            caught_up: Notify::new(),
            joins: DelayLine::new(AFTER_JOIN, MAX_JOINS),
        }
    }

    /// Takes a message that this gateway had stored for `socket`, and returns when the sockets here
    /// have it: a sender hears of it there before it is confirmed.
    pub async fn appended(
        self: &Arc<Self>,
        conversation: &Conversation,
        message: &Message,
        epoch: u64,
        socket: &ChatSocket,
    ) {
        let (settle, settled) = oneshot::channel();
        let origin = Some(socket.number());
        let span = Span::current(format_args!("deliver message"), SpanKind::Internal);
        self.take(conversation, message, epoch, (origin, Some(settle), span));
        // Either way out is the end: it was delivered, or a fetched copy took its place.
        if tokio::time::timeout(SETTLE, settled).await.is_err() {
            tracing::warn!(conversation.id = %conversation.id, "confirming a message out of order");
        }
        // Whoever delivers holds the lock until all sockets have it.
        self.conversations
            .with(conversation.id, |_tracker, _app| ());
    }

    /// Has a joined conversation checked soon.
    pub fn joined(&self, app: &AppId, conversation: ConversationId) {
        self.joins.push((app.clone(), conversation));
    }

    /// Takes a stored message in its turn; `origin` is the socket here that sent it, and `span` ends
    /// when it was delivered or needs no delivery.
    fn take(
        self: &Arc<Self>,
        conversation: &Conversation,
        message: &Message,
        epoch: u64,
        (origin, settled, mut span): (Option<u64>, Option<oneshot::Sender<()>>, Span),
    ) {
        span.set("conversation.id", conversation.id);
        span.set("message.id", message.id);
        let locals = self.locate(conversation, message, epoch);
        let has_delivered = self.conversations.with(conversation.id, |tracker, _app| {
            tracker.has_delivered(epoch, message.seq)
        });
        match has_delivered {
            // Nobody is here who is in it.
            None => return,
            Some(true) => {
                metrics::counter!(Metric::Duplicates.name()).increment(1);
                return;
            }
            Some(false) => {}
        }
        let terms = self.terms(&conversation.app);
        let mut item = encode(terms, conversation, message);
        item.event.settled = settled;
        item.event.span = span;
        item.event.silent = origin.filter(|_| !dialects::echoes(terms.dialect));
        let delivered = self.conversations.with(conversation.id, |tracker, _app| {
            match tracker.offer(epoch, item) {
                Offered::Deliver(events) => {
                    self.write(&locals, conversation.id, tracker, &events);
                    Ok(events)
                }
                Offered::Duplicate => Ok(Vec::new()),
                Offered::Held { first } => Err(first),
            }
        });
        match delivered {
            Some(Ok(events)) => self.write_late(&locals, conversation.id, epoch, &events),
            Some(Err(is_first)) => {
                for (user, _sockets) in &locals {
                    let message = (conversation.id, message.seq);
                    self.journal.note(user, message, What::Held);
                }
                if is_first {
                    self.repair_later(conversation.id);
                }
            }
            None => {}
        }
        record_fanout(message);
    }

    /// Finds the participants who are here, and makes sure that the order is kept for them.
    fn locate(&self, conversation: &Conversation, message: &Message, epoch: u64) -> Locals {
        let at = (epoch, message.seq, message.created_at);
        conversation
            .participants
            .iter()
            .filter_map(|participant| {
                let user = UserKey {
                    app: conversation.app.clone(),
                    user: participant.user.clone(),
                };
                let sockets = self.registry.locate(&user, conversation.id, at)?;
                Some((user, sockets))
            })
            .collect()
    }

    /// Queues messages for the sockets that hear their conversation and are not behind in it.
    fn write(
        self: &Arc<Self>,
        locals: &Locals,
        conversation: ConversationId,
        tracker: &Tracker<Appended>,
        events: &[Appended],
    ) {
        for event in events {
            for (user, sockets) in locals {
                if sockets.is_empty() {
                    let message = (conversation, event.seq);
                    self.journal.note(user, message, What::Nobody);
                }
                let sockets = sockets.iter();
                self.queue(user, sockets, conversation, (tracker.epoch(), event));
            }
        }
    }

    /// Does the same for sockets that came since `locals` were found: nobody else would.
    fn write_late(
        self: &Arc<Self>,
        locals: &Locals,
        conversation: ConversationId,
        epoch: u64,
        events: &[Appended],
    ) {
        if events.is_empty() {
            return;
        }
        for (user, before) in locals {
            let now = self.registry.sockets(user);
            if Arc::ptr_eq(before, &now) {
                continue;
            }
            for event in events {
                let late = now.iter().filter(|socket| !before.contains(socket));
                self.queue(user, late, conversation, (epoch, event));
            }
        }
    }

    fn queue<'a>(
        self: &Arc<Self>,
        user: &UserKey,
        sockets: impl Iterator<Item = &'a ChatSocket>,
        conversation: ConversationId,
        (epoch, event): (u64, &Appended),
    ) {
        let mut n_queued = 0;
        for socket in sockets {
            let at = (epoch, event.seq);
            let session = socket.session();
            let is_silent = event.silent == Some(socket.number());
            let frame = event.frame.as_ref().filter(|_| !is_silent);
            let offer = || session.offer(socket, conversation, at, frame);
            let offered = event.span.in_scope(offer);
            if let Some(what) = What::of(offered, event.way, socket, conversation) {
                self.journal.note(socket, (conversation, event.seq), what);
            }
            match offered {
                session::Offered::Queued => {
                    n_queued += 1;
                    if user.user != event.sender {
                        for frame in &event.behind {
                            wire::send(socket, frame, Class::Ephemeral);
                        }
                    }
                }
                session::Offered::Behind { first: true } => self.refill(socket),
                session::Offered::Lost => socket.close_transport(Reason::Kicked),
                session::Offered::Behind { first: false }
                | session::Offered::Unneeded
                | session::Offered::Closed => {}
            }
        }
        if 0 < n_queued && user.user != event.sender {
            self.receipts.note(user, conversation, event.message);
        }
        metrics::counter!(Metric::Deliveries.name()).increment(n_queued);
    }

    /// Returns in which terms an app's clients are told things. Everybody here is of one that there
    /// is.
    fn terms(&self, app: &AppId) -> Terms {
        let nobodys = Terms {
            dialect: Dialect::Consult,
            retention: None,
        };
        self.apps
            .get(app)
            .map_or(nobodys, |app| session::terms(app))
    }

    /// Tells whether `origin` is a socket of this gateway, and which.
    fn own_origin(&self, origin: &[u8]) -> Option<u64> {
        let origin = Origin::parse(origin)?;
        (origin.replica == self.replica).then_some(origin.socket)
    }
}

/// Encodes a message for all its receivers.
fn encode(terms: Terms, conversation: &Conversation, message: &Message) -> Item<Appended> {
    let conversation = as_of(conversation, message);
    let appended = Fact::Appended(message, &conversation);
    Item {
        seq: message.seq,
        at: message.created_at,
        event: Appended {
            message: message.id,
            sender: message.sender.clone(),
            seq: message.seq,
            frame: wire::frames(terms, &appended).pop(),
            behind: wire::frames(terms, &Fact::Received(message)),
            way: Way::Event,
            silent: None,
            settled: None,
            span: Span::NONE,
        },
    }
}

/// Returns the conversation as it was with `message` as its newest one, so that whoever tells of a
/// message says the same of its conversation.
#[must_use]
pub fn as_of(conversation: &Conversation, message: &Message) -> Conversation {
    Conversation {
        last_seq: message.seq,
        updated_at: message.created_at,
        ..conversation.clone()
    }
}

fn record_fanout(message: &Message) {
    let elapsed_ms = service_kit::now().0.saturating_sub(message.created_at.0);
    let elapsed = Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or_default());
    metrics::histogram!(Metric::FanoutSeconds.name()).record(elapsed);
}
