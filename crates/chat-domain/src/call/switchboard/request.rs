//! What is asked of the switchboard, and what it answers.

use std::time::Duration;

use crate::{
    ConversationId, UserId,
    call::{CallId, CallKind, DeviceId},
};

/// What an app may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRules {
    /// How long a call rings.
    pub ring: Duration,
    /// How long a device in a call may be gone.
    pub grace: Duration,
}

/// A request to call somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Initiate {
    /// The id of the call, if it becomes one.
    pub call: CallId,
    pub caller: UserId,
    pub device: DeviceId,
    pub callee: UserId,
    pub conversation: ConversationId,
    pub kind: CallKind,
    /// As [`Party::n`].
    pub n: u64,
}

/// Somebody who wants something of a call with somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Who it is.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The other side.
    pub peer: UserId,
    /// Which call, if the client says so; else the latest of the two.
    pub call: Option<CallId>,
    /// How long ago the device connected.
    pub age: Duration,
    /// The number of the request among those of the device, from 1: one that is repeated has the same.
    /// 0 for one without a number. Who decides once about each is not the rules' matter.
    pub n: u64,
}

/// What became of a request to call somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ringing {
    /// A new call rings.
    New(CallId),
    /// The two are in it already: the same call, the same deadline.
    Already(CallId),
    /// The two are connected already, with this device in it.
    Connected(CallId),
    /// Both called each other: the first call is connected.
    Merged(CallId),
    /// One of the two is in another call: this one, which is recorded, is over.
    Busy(CallId),
}
