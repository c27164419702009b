//! What the use cases of presence need of the outside: the shared state and a way to tell.
//!
//! Presence is what others may see, and nothing depends on it: while the state is away
//! ([`ChatError::Unavailable`](chat_domain::ChatError::Unavailable)), everybody counts as offline.

use std::time::Duration;

use chat_domain::{
    AppId, Presence, PresenceChange, Status, UserId,
    call::{CallId, DeviceId},
};

use crate::ports::Answer;

/// A user whose presence changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Attended {
    pub app: AppId,
    pub user: UserId,
    pub change: PresenceChange,
}

/// Keeps who is there, by the rules of [`chat_domain::Attendance`]. Every change comes out of a log.
pub trait PresenceState: Send + Sync {
    /// Notes that a device is connected; `again` if it said so before.
    fn come<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        again: bool,
    ) -> Answer<'a, ()>;

    /// Notes that a device is disconnected.
    fn leave<'a>(&'a self, app: &'a AppId, user: &'a UserId, device: DeviceId) -> Answer<'a, ()>;

    /// Notes what a user says of itself.
    fn choose<'a>(&'a self, app: &'a AppId, user: &'a UserId, status: Status) -> Answer<'a, ()>;

    /// Looks again at users whose calls changed.
    fn look<'a>(&'a self, app: &'a AppId, users: &'a [&'a UserId]) -> Answer<'a, ()>;

    /// Looks at those users of an app who are due, at most `limit`; returns how many were.
    fn settle_due<'a>(&'a self, app: &'a AppId, limit: usize) -> Answer<'a, usize>;

    /// Returns what others were told of each user, in order.
    fn presence_of<'a>(&'a self, app: &'a AppId, users: &'a [UserId]) -> Answer<'a, Vec<Presence>>;

    /// Returns those of the users who have no device at a gateway that lives.
    fn absent<'a>(&'a self, app: &'a AppId, users: &'a [UserId]) -> Answer<'a, Vec<UserId>>;

    /// Decides whether a call to `callee` is pushed: there is no device. Remembers that it is for
    /// `ttl`, and answers the same then.
    fn claim_push<'a>(
        &'a self,
        app: &'a AppId,
        callee: &'a UserId,
        call: CallId,
        ttl: Duration,
    ) -> Answer<'a, bool>;

    /// Tells whether a call was pushed.
    fn was_pushed<'a>(&'a self, app: &'a AppId, call: CallId) -> Answer<'a, bool>;
}

/// What is told of a user, and to whom.
#[derive(Debug, Clone)]
pub struct Telling<'a> {
    /// What happened.
    pub about: &'a Attended,
    /// The user's name, where the app's dialect shows it.
    pub name: Option<Box<str>>,
    /// Everybody who hears of it.
    pub audience: Vec<UserId>,
}

/// Tells users' sockets about others. What it accepted may still be lost with the broker; what it
/// refused is repeated.
pub trait PresenceNotifier: Send + Sync {
    /// Tells each change to its audience.
    fn tell<'a>(&'a self, told: &'a [Telling<'a>]) -> Answer<'a, ()>;
}
