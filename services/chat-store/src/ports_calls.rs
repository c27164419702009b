//! What the use cases of calls need of the outside: the shared state, the history, a way to tell.
//!
//! The state decides, at once and for all replicas; the history keeps what was decided. Failures are
//! those of [`crate::ports`]: [`ChatError::Unavailable`](chat_domain::ChatError::Unavailable) means
//! that the same request may succeed later.

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, UserId,
    call::{
        Call, CallId, CallRules, DeviceId, Found, GatewayId, Handed, Initiate, Notice, Party,
        Ringing, Route, Side, Signal, Transition,
    },
};

use crate::ports::Answer;

/// How long a gateway that says nothing is believed to live; it speaks up three times in that time.
pub const GATEWAY_LEASE: Duration = Duration::from_secs(9);

/// A change of a call, and the app it happened in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Logged {
    pub app: AppId,
    pub transition: Transition,
}

/// Decides about calls by the rules of [`chat_domain::call::Switchboard`], whose methods say what
/// each request means. Every change comes out of the log. What a device numbers takes effect once: it
/// is answered as before when it comes again, and refused when a later one or the device's end came
/// before it. That is remembered for a minute.
pub trait CallState: Send + Sync {
    /// Starts a call, unless it exists or cannot.
    fn initiate<'a>(
        &'a self,
        app: &'a AppId,
        request: &'a Initiate,
        rules: CallRules,
    ) -> Answer<'a, Ringing>;

    /// Accepts the call that rings at the party.
    fn accept<'a>(&'a self, app: &'a AppId, party: &'a Party) -> Answer<'a, CallId>;

    /// Declines the call that rings at the party.
    fn reject<'a>(
        &'a self,
        app: &'a AppId,
        party: &'a Party,
        reason: Option<Arc<str>>,
    ) -> Answer<'a, CallId>;

    /// Hangs up; `None` when there is nothing to end.
    fn hang_up<'a>(&'a self, app: &'a AppId, party: &'a Party) -> Answer<'a, Option<CallId>>;

    /// Notes that a device was disconnected so long `ago`. What it asked for is not done any more.
    fn gone<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        ago: Duration,
    ) -> Answer<'a, ()>;

    /// Notes that a user connected so long ago, in place of another device if that is known; returns
    /// what the device finds.
    fn back<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        replaces: Option<DeviceId>,
        age: Duration,
    ) -> Answer<'a, Found>;

    /// Decides whether a signal may pass; parks it if it may later.
    fn signal<'a>(
        &'a self,
        app: &'a AppId,
        party: &'a Party,
        signal: &'a Signal,
    ) -> Answer<'a, Route>;

    /// Returns what waits on one side of a call and may pass now.
    fn waiting<'a>(
        &'a self,
        app: &'a AppId,
        call: &'a Call,
        side: Side,
    ) -> Answer<'a, Option<Handed>>;

    /// Notes that what waited was passed on.
    fn handed<'a>(&'a self, app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()>;

    /// Returns a call: live, or over for less than two minutes.
    fn find<'a>(&'a self, app: &'a AppId, id: CallId) -> Answer<'a, Option<Call>>;

    /// Returns the last change of a call that [`Self::find`] finds.
    fn find_last<'a>(&'a self, app: &'a AppId, id: CallId) -> Answer<'a, Option<Transition>>;

    /// Ends what is due, at most `limit` calls; returns how many it looked at.
    fn expire<'a>(&'a self, app: &'a AppId, limit: usize) -> Answer<'a, usize>;

    /// Notes that a gateway lives, for another [`GATEWAY_LEASE`]. Returns whether it has to announce
    /// its devices: it is new, or they were lost.
    fn alive(&self, gateway: GatewayId) -> Answer<'_, bool>;

    /// Notes that the devices of gateways that fell silent are gone, in calls and altogether; returns
    /// how many gateways. When nobody did that for a while, silence means nothing, and all of them
    /// have another lease.
    fn bury<'a>(&'a self, apps: &'a [AppId]) -> Answer<'a, usize>;

    /// Returns the age of the oldest change that nobody took out of the log; zero if there is none.
    fn lag(&self) -> Answer<'_, Duration>;

    /// Puts back calls that the history has and the state has not, each with its last change. Of two
    /// that share a user the first goes on, so the newest comes first; what is over is logged again.
    fn restore<'a>(&'a self, calls: &'a [Logged]) -> Answer<'a, ()>;
}

/// Keeps calls for ever.
pub trait CallHistory: Send + Sync {
    /// Writes the newest state of each call in the batch, unless what is there is newer or an
    /// outcome. Returns the calls whose row now says what the batch says of them; the others were
    /// decided otherwise.
    fn record<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, Vec<CallId>>;

    /// Returns calls before one, newest first, with their last change: those without an outcome, and
    /// those that ended within the hour and were not marked as followed up.
    fn list_unfinished(&self, before: Option<CallId>, limit: u32) -> Answer<'_, Vec<Logged>>;

    /// Notes that everything was done that follows from the end of these calls. Returns those of
    /// which nobody had noted it.
    fn mark_followed<'a>(&'a self, calls: &'a [CallId]) -> Answer<'a, Vec<CallId>>;

    /// Returns a user's calls before one, newest first.
    fn list_calls<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        before: Option<CallId>,
        limit: u32,
    ) -> Answer<'a, Vec<Call>>;

    /// Returns a call of the app.
    fn find_call<'a>(&'a self, app: &'a AppId, id: CallId) -> Answer<'a, Option<Call>>;

    /// Takes the calls that `callee` missed and was not told of: the newest `limit`, oldest first.
    /// Nobody gets them again.
    fn claim_missed<'a>(
        &'a self,
        app: &'a AppId,
        callee: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Vec<Call>>;

    /// Notes that a device of `callee` was told how calls ended.
    fn mark_told<'a>(
        &'a self,
        app: &'a AppId,
        callee: &'a UserId,
        calls: &'a [CallId],
    ) -> Answer<'a, ()>;
}

/// Tells devices. What it accepted may still be lost with the broker; what it refused is repeated.
pub trait CallNotifier: Send + Sync {
    /// Tells what a change means for each device, in order.
    fn tell<'a>(&'a self, logged: &'a Logged, notices: &'a [Notice]) -> Answer<'a, ()>;

    /// Passes on signals that waited, after everything told before.
    fn pass_on<'a>(&'a self, app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()>;
}
