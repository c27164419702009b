//! Who is told what about a call.

use super::{CallId, DeviceId};
use crate::UserId;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notice {
    /// The call.
    pub call: CallId,
    /// The call's version when this became true.
    pub version: u32,
    /// Who hears it.
    pub to: Recipient,
    /// What it is.
    pub tell: Tell,
}

/// Which devices hear a notice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// Every device of the user.
    AllDevices(UserId),
    /// One device.
    Device(UserId, DeviceId),
    /// Every device of the user but one.
    OtherDevices(UserId, DeviceId),
}

impl Recipient {
    /// Returns whose devices they are.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        match self {
            Self::AllDevices(user) | Self::Device(user, _) | Self::OtherDevices(user, _) => user,
        }
    }
}

/// What there is to tell; the dialect turns it into an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tell {
    /// To the caller: the callee rings.
    Ringing,
    /// To the callee: somebody calls.
    Incoming,
    /// To the caller: the callee accepted.
    Accepted,
    /// To the accepting device: the call is connected.
    Connected,
    /// To the callee's other devices: one of them accepted.
    AnsweredElsewhere,
    /// To the callee's other devices: one of them declined.
    DeclinedElsewhere,
    /// To the caller: the callee declined.
    Rejected,
    /// To the caller: one of the two is in another call.
    Busy,
    /// To the caller: nobody accepted in time.
    NoAnswer,
    /// To the callee: a call was missed.
    Missed,
    /// To the other side: it is over.
    Ended,
}
