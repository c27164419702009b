//! What the gateway remembers of one socket: who it is, its rooms, its limits, its token's end.
//!
//! A session exists only for an authenticated user: [`authenticate`] is the one way to a
//! [`Principal`](service_kit::auth::Principal), and nothing that sends or reads takes less.

mod authenticate;
mod cursor;
mod expiry;
mod places;
mod resuming;
mod sending;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use chat_domain::{ChatError, ConversationId, Dialect, Timestamp, User};
use dialects::Terms;
use parking_lot::Mutex;
use service_kit::{
    apps::App,
    auth::{Marks, Principal},
};
use socketio_protocol::Frame;

pub use authenticate::{Refusal, authenticate, declaring};
pub use cursor::{BadClaim, Beginning, Claim, MAX_LISTED, RecoveryKey, SessionTag};
pub use expiry::{Expired, ExpiryQueue};
pub use places::{Offered, Place, Places, Room};
pub use resuming::{beginning, first_places};
pub use sending::Recovery;

use crate::{
    calls::Device,
    limits::{Buckets, Class, Exceeded, Rates},
    registry::{Enrolment, UserKey},
    transport::Socket,
};

/// A socket of the chat.
pub type ChatSocket = Socket<Session>;

/// How long a socket outlives its token, so that the client can bring a newer one.
const GRACE_MS: i64 = 60_000;

/// One authenticated socket.
pub struct Session {
    app: Arc<App>,
    user: User,
    state: Mutex<State>,
    /// Held while something is queued, so that an offset tells of all that was queued before.
    places: Mutex<Places>,
    recovery: Option<Recovery>,
    began: Timestamp,
    device: Mutex<Device>,
}

struct State {
    buckets: Buckets,
    expires_at: Timestamp,
    /// Those of the token that counts.
    marks: Marks,
    /// The client knows that its token expired.
    told: bool,
    /// There until the socket is attached.
    entrance: Option<Box<Entrance>>,
}

/// What a socket on its way in brings along.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Entrance {
    pub enrolment: Enrolment,
    /// What the client is to be told at once.
    pub greeting: Vec<Frame>,
    /// Whether the client has had another connection in this session.
    pub is_back: bool,
}

impl Session {
    /// Makes the session of a socket on its way in, which stands at `places`. Without `recovery`
    /// its client cannot come back to it.
    #[must_use]
    pub fn new(
        principal: Principal,
        entrance: Entrance,
        places: Places,
        recovery: Option<Recovery>,
    ) -> Self {
        Self {
            app: principal.app,
            user: principal.user,
            state: Mutex::new(State {
                buckets: Buckets::default(),
                expires_at: principal.expires_at,
                marks: principal.marks,
                told: false,
                entrance: Some(Box::new(entrance)),
            }),
            places: Mutex::new(places),
            recovery,
            began: service_kit::now(),
            device: Mutex::default(),
        }
    }

    /// Returns the app.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Returns how the client talks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.app.dialect
    }

    /// Returns in which terms the client is told things.
    #[must_use]
    pub fn terms(&self) -> Terms {
        terms(&self.app)
    }

    /// Returns the user that the token named.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Returns the key of the user in the registry.
    #[must_use]
    pub fn key(&self) -> UserKey {
        UserKey {
            app: self.app.id.clone(),
            user: self.user.id.clone(),
        }
    }

    /// Tells whether a connection that came back to session `tag` at `at` takes the place of this
    /// one.
    #[must_use]
    pub fn is_superseded(&self, tag: &[u8], at: Timestamp) -> bool {
        let own = self.recovery.as_ref().map(|recovery| recovery.tag);
        self.began < at && own.is_some_and(|own| own.as_bytes() == tag)
    }

    /// Returns when this connection began.
    #[must_use]
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Returns the name of the session and when this connection of it began, if its client may come
    /// back to it.
    #[must_use]
    pub fn connection(&self) -> Option<(SessionTag, Timestamp)> {
        let recovery = self.recovery.as_ref()?;
        Some((recovery.tag, self.began))
    }

    /// Returns what the socket is in calls.
    #[must_use]
    pub fn device(&self) -> &Mutex<Device> {
        &self.device
    }

    /// Returns what the socket's token is revoked by.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.state.lock().marks
    }

    /// Hands over what the socket brought along, once.
    pub fn take_entrance(&self) -> Option<Box<Entrance>> {
        self.state.lock().entrance.take()
    }

    /// Tells whether the socket gets messages of its user's conversation: unless it left.
    #[must_use]
    pub fn hears(&self, conversation: ConversationId) -> bool {
        self.places.lock().hears(conversation)
    }

    /// Tells whether the socket also gets typing and read events of the conversation.
    #[must_use]
    pub fn is_joined(&self, conversation: ConversationId) -> bool {
        self.places.lock().is_joined(conversation)
    }

    /// Enters a room. Whether the user may is checked before.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] when the socket is in too many.
    pub fn join(&self, conversation: ConversationId) -> Result<(), ChatError> {
        self.places.lock().join(conversation)
    }

    /// Leaves a room.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] when the socket left too many that it was never in.
    pub fn leave(&self, conversation: ConversationId) -> Result<(), ChatError> {
        self.places.lock().leave(conversation)
    }

    /// Counts an event of the socket.
    ///
    /// # Errors
    ///
    /// Returns [`Exceeded`] when it may not be handled.
    pub fn admit(&self, class: Class, rates: &Rates, now: Duration) -> Result<(), Exceeded> {
        self.state.lock().buckets.take(class, rates, now)
    }

    /// Counts an event that its user may not ask for until `after`.
    pub fn refuse(&self, after: Duration, rates: &Rates, now: Duration) -> Exceeded {
        self.state.lock().buckets.refuse(after, rates, now)
    }
}

/// Returns in which terms the clients of an app are told things.
#[must_use]
pub fn terms(app: &App) -> Terms {
    Terms {
        dialect: app.dialect,
        retention: app.policy.retention,
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("app", &self.app.id)
            .field("user", &self.user.id)
            .finish_non_exhaustive()
    }
}

/// The socket that caused an event: its gateway's incarnation and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Origin {
    pub replica: u64,
    pub socket: u64,
}

impl Origin {
    /// Returns the form in which it travels.
    #[must_use]
    pub fn to_wire(self) -> Bytes {
        [self.replica.to_be_bytes(), self.socket.to_be_bytes()]
            .concat()
            .into()
    }

    /// Reads it; `None` when an event has no socket as its origin.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (replica, socket) = bytes.split_first_chunk()?;
        Some(Self {
            replica: u64::from_be_bytes(*replica),
            socket: u64::from_be_bytes(socket.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_survive_the_wire() {
        let origin = Origin {
            replica: u64::MAX - 1,
            socket: 7,
        };

        assert_eq!(Origin::parse(&origin.to_wire()), Some(origin));
        assert_eq!(Origin::parse(b""), None);
        assert_eq!(Origin::parse(&[0; 15]), None);
        assert_eq!(Origin::parse(&[0; 17]), None);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Session>() <= 352, "{}", size_of::<Session>());
    }
}
