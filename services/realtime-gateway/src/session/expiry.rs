//! When tokens of open sockets end: one queue for all sockets.

use std::collections::BTreeMap;

use chat_domain::Timestamp;
use parking_lot::Mutex;
use service_kit::auth::Principal;

use super::{ChatSocket, GRACE_MS, Session, State};

/// What is to be done about a socket whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Tell the client, and come back when the grace is over.
    Tell,
    /// Send the client away.
    Leave,
    /// Nothing: a newer token came meanwhile.
    Renewed,
}

impl State {
    fn due(&self) -> Timestamp {
        let grace = if self.told { GRACE_MS } else { 0 };
        Timestamp(self.expires_at.0.saturating_add(grace))
    }
}

impl Session {
    /// Decides what the end of the token means at `now`.
    #[must_use]
    pub fn expire(&self, now: Timestamp) -> Expired {
        let mut state = self.state.lock();
        if now < state.due() {
            return Expired::Renewed;
        }
        if state.told {
            return Expired::Leave;
        }
        state.told = true;
        Expired::Tell
    }

    fn due(&self) -> Timestamp {
        self.state.lock().due()
    }

    /// Extends the session. Returns false, and changes nothing, when it lasts as long already.
    fn extend(&self, principal: &Principal) -> bool {
        let mut state = self.state.lock();
        let extends = state.expires_at < principal.expires_at;
        if extends {
            state.expires_at = principal.expires_at;
            state.marks = principal.marks;
            state.told = false;
        }
        extends
    }
}

/// Every socket by the moment at which something has to be done about its token.
#[derive(Debug, Default)]
pub struct ExpiryQueue(Mutex<BTreeMap<(Timestamp, u64), ChatSocket>>);

impl ExpiryQueue {
    /// Adds a socket, or adds it again after [`Expired::Tell`].
    pub fn add(&self, socket: &ChatSocket) {
        let key = (socket.session().due(), socket.number());
        self.0.lock().insert(key, socket.clone());
    }

    /// Removes a socket that is gone.
    pub fn remove(&self, socket: &ChatSocket) {
        let key = (socket.session().due(), socket.number());
        // The last clone of a socket may go here: dropped after the lock.
        let _removed = self.0.lock().remove(&key);
    }

    /// Extends a socket's session by a newer token. Returns false, and changes nothing, when it lasts
    /// as long already.
    pub fn extend(&self, socket: &ChatSocket, principal: &Principal) -> bool {
        let before = (socket.session().due(), socket.number());
        let extends = socket.session().extend(principal);
        if extends {
            self.0.lock().remove(&before);
            self.add(socket);
        }
        extends
    }

    /// Takes the sockets whose time has come at `now`.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<ChatSocket> {
        let mut queue = self.0.lock();
        let later = queue.split_off(&(now, u64::MAX));
        std::mem::replace(&mut *queue, later)
            .into_values()
            .collect()
    }
}
