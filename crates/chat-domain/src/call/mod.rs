//! Calls: one id, one state, exactly one outcome.
//!
//! [`Switchboard`] holds the rules: who may do what to which call, when a call ends by itself, and
//! who is told. It is the specification that the shared store of ringing calls is held to, and it
//! is checked over every order of events (`tests/calls.rs`). Media never passes here; neither do
//! the signals that set it up, only the rule who may exchange them ([`Call::signal_peer`]).

mod notice;
mod switchboard;

use crate::{ConversationId, Timestamp, UserId};
pub use notice::{Notice, Recipient, Tell};
pub use switchboard::{CallRules, Gone, Initiate, Ringing, Switchboard};

/// A call, by an id that the system makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub uuid::Uuid);

/// One connection of a user; a user who comes back has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub u64);

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the contract's call types")]
pub enum CallKind {
    Audio,
    Video,
}

/// How a call ended. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The callee declined.
    Rejected,
    /// The caller gave up, or was gone for longer than the grace.
    Cancelled,
    /// Nobody accepted in time.
    NoAnswer,
    /// It was connected, and one side hung up or was gone for longer than the grace.
    Ended,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Every device of the callee rings, until [`Call::rings_until`].
    Ringing,
    /// One device of each side is in it.
    Connected,
    /// It is over.
    Over(Outcome),
}

/// One side of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leg {
    /// Who it is.
    pub user: UserId,
    /// The device in the call; the callee has none before one accepts.
    pub device: Option<DeviceId>,
    /// Since when that device is disconnected.
    pub gone_since: Option<Timestamp>,
}

/// A call between two users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The conversation both take part in.
    pub conversation: ConversationId,
    /// What is carried.
    pub kind: CallKind,
    /// Who rang first.
    pub caller: Leg,
    /// Who was rung.
    pub callee: Leg,
    /// Where it is.
    pub phase: Phase,
    /// Grows by one with every change, so that a reader can tell old from new.
    pub version: u32,
    /// When ringing ends by itself.
    pub rings_until: Timestamp,
}

impl Call {
    /// Tells whether the call still occupies its two users.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Ringing | Phase::Connected)
    }

    /// Tells whether `user` is one of the two.
    #[must_use]
    pub fn involves(&self, user: &UserId) -> bool {
        self.caller.user == *user || self.callee.user == *user
    }

    /// Returns the device that may hear what `from` signals, once the call is connected; before
    /// that signals are parked, and after it they are dropped.
    #[must_use]
    pub fn signal_peer(&self, from: DeviceId) -> Option<DeviceId> {
        if self.phase != Phase::Connected {
            return None;
        }
        match (self.caller.device, self.callee.device) {
            (Some(caller), Some(callee)) if caller == from => Some(callee),
            (Some(caller), Some(callee)) if callee == from => Some(caller),
            (_, _) => None,
        }
    }
}
