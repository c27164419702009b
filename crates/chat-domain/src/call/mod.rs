//! Calls: one id, one state, exactly one outcome.
//!
//! [`Switchboard`] holds the rules: who may do what to which call, when a call ends by itself, and
//! who may signal to whom. It is the specification that the shared store of calls is held to, and
//! it is checked over every order of events (`tests/calls`). Every change is a [`Transition`],
//! which alone says who is told what. Media never passes here.

mod heard;
mod notice;
mod signal;
mod summary;
mod switchboard;
mod transition;

use std::{fmt, sync::Arc, time::Duration};

use crate::{ChatError, ConversationId, Timestamp, UserId};
pub use heard::{Found, Heard};
pub use notice::{Notice, Recipient, Tell};
pub use signal::{Handed, Parked, Route, Signal, SignalKind};
pub use summary::Summary;
pub use switchboard::{CallRules, Initiate, Party, Ringing, Switchboard};
pub use transition::{Change, Transition};

/// A call, by an id that the system makes: a UUIDv7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub uuid::Uuid);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A process that holds connections, for as long as it lives; one that restarts is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayId(pub u64);

/// One connection of a user; a user who comes back has a new one.
///
/// `Display` and [`DeviceId::parse`] are each other's inverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId {
    /// Who holds it.
    pub gateway: GatewayId,
    /// Its number there.
    pub socket: u64,
}

impl DeviceId {
    /// Parses what `Display` writes.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::InvalidId`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        let number = |text| u64::from_str_radix(text, 16).ok();
        text.split_once('-')
            .and_then(|(gateway, socket)| {
                Some(Self {
                    gateway: GatewayId(number(gateway)?),
                    socket: number(socket)?,
                })
            })
            .ok_or(ChatError::InvalidId("DeviceId"))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.gateway.0, self.socket)
    }
}

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the contract's call types")]
pub enum CallKind {
    Audio,
    Video,
}

impl CallKind {
    /// Returns the kind as the wire spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    /// Parses the wire's spelling.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        match text {
            "audio" => Ok(Self::Audio),
            "video" => Ok(Self::Video),
            _ => Err(ChatError::Malformed("callType must be audio or video")),
        }
    }
}

/// How a call ended. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// One of the two was in another call: it never rang.
    Busy,
    /// The callee declined.
    Rejected,
    /// The caller gave up, or was gone for longer than the grace.
    Cancelled,
    /// Nobody accepted in time.
    NoAnswer,
    /// It was connected, and one side hung up or was gone for longer than the grace.
    Ended,
}

impl Outcome {
    /// Returns the outcome as the wire spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::NoAnswer => "no_answer",
            Self::Ended => "ended",
        }
    }

    /// Parses the wire's spelling.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        match text {
            "busy" => Ok(Self::Busy),
            "rejected" => Ok(Self::Rejected),
            "cancelled" => Ok(Self::Cancelled),
            "no_answer" => Ok(Self::NoAnswer),
            "ended" => Ok(Self::Ended),
            _ => Err(ChatError::Malformed("unknown outcome")),
        }
    }
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

/// One of the two sides of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "who rang, and who was rung")]
pub enum Side {
    Caller,
    Callee,
}

impl Side {
    /// Returns the side as shared state and rows spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }

    /// Returns the opposite side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// What a call knows of one side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leg {
    /// Who it is.
    pub user: UserId,
    /// The device in the call; the callee has none before one accepts.
    pub device: Option<DeviceId>,
    /// Since when that device is disconnected.
    pub gone_since: Option<Timestamp>,
    /// While it is gone: until when it surely heard what it was told.
    pub heard_until: Option<Timestamp>,
    /// How many of its signals were passed on; the place of the last one.
    pub n_signals: u64,
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
    /// Grows by one with every [`Transition`], so that a reader can tell old from new.
    pub version: u32,
    /// When it began to ring.
    pub started_at: Timestamp,
    /// When ringing ends by itself.
    pub rings_until: Timestamp,
    /// How long a device in it may be gone.
    pub grace: Duration,
    /// When a device of the callee accepted.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Both rang each other, and the callee has not answered the caller's offer yet: until then
    /// its own offers, made for the call that there is not, go nowhere.
    pub awaits_answer: bool,
    /// Why it was declined, in the words of the callee's client.
    pub reason: Option<Arc<str>>,
}

impl Call {
    /// Tells whether the call still occupies its two users.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Ringing | Phase::Connected)
    }

    /// Returns the side that `user` is on, if any.
    #[must_use]
    pub fn side_of(&self, user: &UserId) -> Option<Side> {
        if self.caller.user == *user {
            Some(Side::Caller)
        } else if self.callee.user == *user {
            Some(Side::Callee)
        } else {
            None
        }
    }

    /// Returns what the call knows of one side.
    #[must_use]
    pub const fn leg(&self, side: Side) -> &Leg {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    pub(crate) const fn leg_mut(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// Returns when the call ends by itself and how, as things stand.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, Change)> {
        let away = |leg: &Leg| Some(leg.gone_since?.after(self.grace));
        let (caller, callee) = (away(&self.caller), away(&self.callee));
        match self.phase {
            Phase::Ringing => Some(match caller {
                Some(caller) if caller < self.rings_until => (caller, Change::Cancelled),
                _ => (self.rings_until, Change::NoAnswer),
            }),
            Phase::Connected => match (caller, callee) {
                (Some(caller), Some(callee)) if callee < caller => {
                    Some((callee, Change::Ended(Side::Callee)))
                }
                (Some(caller), _) => Some((caller, Change::Ended(Side::Caller))),
                (None, Some(callee)) => Some((callee, Change::Ended(Side::Callee))),
                (None, None) => None,
            },
            Phase::Over(_) => None,
        }
    }

    /// Tells whether a device that connected `age` before `now` came since the call began on that side:
    /// then it is none that was there beside the one in the call.
    pub(crate) fn came_later(&self, side: Side, age: Duration, now: Timestamp) -> bool {
        let began = match side {
            Side::Caller => Some(self.started_at),
            Side::Callee => self.answered_at,
        };
        began.is_some_and(|began| began <= now.before(age))
    }

    /// Returns how long the two were connected; `None` unless they were and it is over.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let millis = self.ended_at?.0.saturating_sub(self.answered_at?.0);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    }
}
