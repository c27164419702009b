//! What became of messages on their way to sockets, kept for a day for whoever asks why one did not
//! arrive: docs/adr/0025-gateways-note-what-became-of-messages.md.
//!
//! Noting is a push to a bounded buffer. Every two seconds, and when a store asks, the notes leave for a
//! stream; what finds no room or nobody is lost, and whoever reads them sees that. Nothing depends on
//! them, and nothing that somebody wrote is in them.

mod ledger;

use std::{fmt, sync::Arc, time::Duration};

use chat_domain::{ConversationId, Seq, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use self::ledger::Ledger;
use crate::{
    metrics::Metric,
    ports::Publisher,
    registry::UserKey,
    session::{ChatSocket, Offered},
    transport::{Progress, Reason},
};

/// How often notes leave.
const EVERY: Duration = Duration::from_secs(2);
/// How many notes wait for that.
const MAX_NOTES: usize = 65_536;
/// The message of a note that is about none.
const NO_MESSAGE: Message = (ConversationId(Uuid::nil()), Seq(0));

/// A message by its place.
type Message = (ConversationId, Seq);

/// How a message came to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its event came, in time.
    Event,
    /// It was missing and fetched for all.
    Repair,
    /// It was fetched for a socket that was behind.
    Refill,
}

/// Where a socket stands in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All up to the place was queued.
    Known,
    /// It takes whatever comes next.
    Unknown,
    /// All up to the place was queued, and what follows is being fetched.
    Behind,
    /// It hears nothing of the conversation.
    Outside,
}

/// What is noted of a message, a socket, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The message waits for the client; whether the transport took it is found out later.
    Queued(Way),
    /// It was left out because the client does not read; it is fetched when it does.
    NoRoom,
    /// It was left out because what is before it is being fetched.
    Behind,
    /// The socket hears nothing of the conversation.
    NotHeard,
    /// The socket was gone.
    Closed,
    /// All up to it was too much; the client was told to fetch it.
    Skipped,
    /// It came before one that is missing.
    Held,
    /// The user has no socket here.
    Nobody,
    /// A socket connected, maybe to a session that it had.
    Came {
        /// The client came back to its session.
        is_back: bool,
    },
    /// A socket is gone.
    Went(Reason),
    /// A socket is gone because its token was revoked.
    Revoked,
    /// Where a socket stands; the place is the note's.
    Stands(Standing),
}

impl What {
    /// Says what became of a message that was offered to a socket; `None` where that is nothing new.
    #[must_use]
    pub fn of(
        offered: Offered,
        way: Way,
        socket: &ChatSocket,
        conversation: ConversationId,
    ) -> Option<Self> {
        match offered {
            Offered::Queued => Some(Self::Queued(way)),
            Offered::Behind { .. } if socket.progress() == Progress::Waiting => Some(Self::NoRoom),
            Offered::Behind { .. } => Some(Self::Behind),
            Offered::Unneeded if !socket.session().hears(conversation) => Some(Self::NotHeard),
            Offered::Closed => Some(Self::Closed),
            // It has it, or goes.
            Offered::Unneeded | Offered::Lost => None,
        }
    }
}

/// Whom a note is about.
#[derive(Debug, Clone)]
pub enum Who {
    /// A socket, and its user.
    Socket(ChatSocket),
    /// A user.
    User(Box<UserKey>),
}

impl From<&ChatSocket> for Who {
    fn from(socket: &ChatSocket) -> Self {
        Self::Socket(socket.clone())
    }
}

impl From<&UserKey> for Who {
    fn from(user: &UserKey) -> Self {
        Self::User(Box::new(user.clone()))
    }
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    who: Who,
    message: Message,
    what: What,
    /// That it waits was said.
    is_told: bool,
}

/// When notes leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// It is time.
    Regular,
    /// A store asks.
    Asked,
    /// The process ends.
    End,
}

#[derive(Debug, Default)]
struct Buffer {
    entries: Vec<Entry>,
    n_dropped: u64,
}

/// The journal of this gateway.
pub struct Journal {
    buffer: Mutex<Buffer>,
    ledger: Mutex<Ledger>,
    publisher: Arc<dyn Publisher>,
    asked: Notify,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Journal {
    /// Makes an empty one. `replica` is this process in origins.
    #[must_use]
    pub fn new(publisher: Arc<dyn Publisher>, replica: u64) -> Self {
        Self {
            buffer: Mutex::default(),
            ledger: Mutex::new(Ledger::new(replica)),
            publisher,
            asked: Notify::new(),
        }
    }

    /// Notes something of a message.
    pub fn note(&self, who: impl Into<Who>, message: (ConversationId, Seq), what: What) {
        let entry = Entry {
            at: service_kit::now(),
            who: who.into(),
            message,
            what,
            is_told: false,
        };
        let mut buffer = self.buffer.lock();
        if buffer.entries.len() < MAX_NOTES {
            buffer.entries.push(entry);
            return;
        }
        buffer.n_dropped += 1;
    }

    /// Notes something of a socket alone.
    pub fn note_socket(&self, socket: &ChatSocket, what: What) {
        self.note(socket, NO_MESSAGE, what);
    }

    /// Has the notes leave at once.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Has notes leave again and again. Runs until dropped.
    pub async fn run(&self) {
        loop {
            let is_asked = timeout(EVERY, self.asked.notified()).await.is_ok();
            self.publish(if is_asked {
                Occasion::Asked
            } else {
                Occasion::Regular
            });
        }
    }

    /// Has the last notes leave.
    pub fn end(&self) {
        self.publish(Occasion::End);
    }

    fn publish(&self, occasion: Occasion) {
        let mut ledger = self.ledger.lock();
        let Buffer { entries, n_dropped } = {
            let mut buffer = self.buffer.lock();
            // As much room as was needed, so that a quiet gateway holds little.
            let room = Vec::with_capacity(buffer.entries.len());
            let next = Buffer {
                entries: room,
                n_dropped: 0,
            };
            std::mem::replace(&mut *buffer, next)
        };
        let n_dropped = n_dropped + ledger.take(entries, service_kit::now(), occasion);
        if 0 < n_dropped {
            ledger.leave_out();
            metrics::counter!(Metric::JournalDropped.name()).increment(n_dropped);
        }
        for (subject, notes) in ledger.seal() {
            self.publisher.publish(subject, notes);
        }
    }
}
