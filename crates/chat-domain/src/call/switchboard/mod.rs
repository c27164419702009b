//! The rules of calls, over all calls of an app at once: a user is in one call at most.
//!
//! Whoever looks at a call first ends it if that is due, so what anybody sees never depends on how
//! late somebody else looked.

mod devices;
mod request;
mod signalling;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Call, CallId, Change, DeviceId, Leg, Outcome, Parked, Phase, Side, Transition};
use crate::{ChatError, Timestamp, UserId};

pub use request::{CallRules, Initiate, Party, Ringing};

/// Every live call, and those that were over a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Switchboard {
    calls: BTreeMap<CallId, Call>,
    /// The call that each user is or was last in.
    latest: BTreeMap<UserId, CallId>,
    parked: BTreeMap<(UserId, DeviceId), Parked>,
}

impl Switchboard {
    /// How long a call that is over is remembered, so that whoever is late gets an exact answer.
    pub const KEEP: Duration = Duration::from_mins(2);

    /// How long those who are back may take to be announced.
    pub const NOTICE: Duration = Duration::from_secs(3);
    /// How long a request may be under way: its device may have come back before it was done.
    pub const UNDER_WAY: Duration = Duration::from_secs(5);

    /// Returns a call, live or over.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// Returns every call.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// Returns the live call that `user` is in.
    #[must_use]
    pub fn call_of(&self, user: &UserId) -> Option<&Call> {
        self.latest_of(user).filter(|call| call.is_live())
    }

    /// Starts a call, unless it exists or cannot.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for a call to oneself. That both take part in the
    /// conversation is the caller's to check.
    pub fn initiate(
        &mut self,
        request: &Initiate,
        rules: CallRules,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Result<Ringing, ChatError> {
        if request.caller == request.callee {
            return Err(ChatError::Malformed("nobody can call themselves"));
        }
        self.settle(&request.caller, now, log);
        self.settle(&request.callee, now, log);

        let theirs = self.call_of(&request.callee);
        match self.call_of(&request.caller) {
            None if theirs.is_none() => Ok(self.ring(request, rules, now, log)),
            Some(call) if call.side_of(&request.callee).is_some() => {
                Ok(self.initiate_again(request, call.id, now, log))
            }
            _ => Ok(self.busy(request, rules, now, log)),
        }
    }

    fn ring(
        &mut self,
        request: &Initiate,
        rules: CallRules,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Ringing {
        self.forget_stale(request, now);
        for user in [&request.caller, &request.callee] {
            self.latest.insert(user.clone(), request.call);
        }
        let call = new_call(request, rules, now, Phase::Ringing);
        note(&call, Change::Ringing, now, log);
        self.calls.insert(call.id, call);
        Ringing::New(request.call)
    }

    /// Keeps what the device parked for this call a moment ago, and nothing else.
    fn forget_stale(&mut self, request: &Initiate, now: Timestamp) {
        let slot = (request.caller.clone(), request.device);
        let is_meant = |parked: &Parked| {
            parked.to == request.callee && now < parked.since.after(Parked::EARLY)
        };
        if !self.parked.get(&slot).is_some_and(is_meant) {
            self.parked.remove(&slot);
        }
    }

    fn busy(
        &mut self,
        request: &Initiate,
        rules: CallRules,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Ringing {
        self.parked
            .remove(&(request.caller.clone(), request.device));
        let call = new_call(request, rules, now, Phase::Over(Outcome::Busy));
        note(&call, Change::Busy, now, log);
        self.calls.insert(call.id, call);
        Ringing::Busy(request.call)
    }

    /// The two are in a live call with each other.
    fn initiate_again(
        &mut self,
        request: &Initiate,
        id: CallId,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Ringing {
        let Some(call) = self.calls.get_mut(&id) else {
            return Ringing::Already(id);
        };
        let side = call.side_of(&request.caller).unwrap_or(Side::Caller);
        let device = call.leg(side).device;
        match (call.phase, side) {
            (Phase::Ringing, Side::Callee) => {
                call.awaits_answer = true;
                self.connect(id, request.device, Change::Merged, now, log);
                return Ringing::Merged(id);
            }
            (Phase::Ringing, Side::Caller) => {
                call.caller.gone_since = None;
                call.caller.heard_until = None;
                if let Some(left) = device.filter(|left| *left != request.device) {
                    call.caller.device = Some(request.device);
                    call.version += 1;
                    note(call, Change::Moved(left), now, log);
                    self.forget_stale(request, now);
                }
            }
            (Phase::Connected | Phase::Over(_), _) if device != Some(request.device) => {
                // It is another device that wants another call; its rules don't matter, it is over.
                let rules = CallRules {
                    ring: Duration::ZERO,
                    grace: call.grace,
                };
                return self.busy(request, rules, now, log);
            }
            (Phase::Connected | Phase::Over(_), _) => return Ringing::Connected(id),
        }
        Ringing::Already(id)
    }

    /// Accepts the call that rings at the party, on its device.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::CallNotFound`] when the two have none, [`ChatError::Forbidden`] for its
    /// caller, and [`ChatError::Conflict`] when it is over or another device was faster.
    pub fn accept(
        &mut self,
        party: &Party,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Result<CallId, ChatError> {
        self.settle(&party.user, now, log);
        let call = self.ringing_at(party)?;
        let (id, phase, device) = (call.id, call.phase, call.callee.device);
        if phase == Phase::Connected && device == Some(party.device) {
            return Ok(id);
        }
        check_ringing(phase)?;
        self.connect(id, party.device, Change::Accepted, now, log);
        Ok(id)
    }

    /// Declines the call that rings at the party; one that was declined before stays so.
    ///
    /// # Errors
    ///
    /// As [`Self::accept`].
    pub fn reject(
        &mut self,
        party: &Party,
        reason: Option<Arc<str>>,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Result<CallId, ChatError> {
        self.settle(&party.user, now, log);
        let call = self.ringing_at(party)?;
        let id = call.id;
        if call.phase == Phase::Over(Outcome::Rejected) {
            return Ok(id);
        }
        check_ringing(call.phase)?;
        if let Some(call) = self.calls.get_mut(&id) {
            call.reason = reason;
        }
        self.finish(id, Change::Rejected(party.device), now, log);
        Ok(id)
    }

    /// Hangs up: the caller of a ringing call cancels it, its callee declines it, either ends a
    /// connected one. Returns the call, which is over then, or was before. `None` when nothing ends:
    /// the user is in it with another device, did not say which call it is, and the device was there
    /// beside the other one. One that came later may have come back before anybody saw that its old
    /// connection was gone.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::CallNotFound`] when the two have none.
    pub fn hang_up(
        &mut self,
        party: &Party,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Result<Option<CallId>, ChatError> {
        self.settle(&party.user, now, log);
        let (call, side) = self.locate(party)?;
        let (id, leg) = (call.id, call.leg(side));
        let may_be_it = party.call.is_some() || call.came_later(side, party.age, now);
        let change = match (call.phase, side) {
            (Phase::Ringing, Side::Caller) => Change::Cancelled,
            (Phase::Ringing, Side::Callee) => Change::Rejected(party.device),
            (Phase::Connected, _)
                if leg.device == Some(party.device) || leg.gone_since.is_some() =>
            {
                Change::Ended(side)
            }
            (Phase::Connected, _) if may_be_it => {
                if let (Some(left), Some(call)) = (leg.device, self.calls.get_mut(&id)) {
                    call.leg_mut(side).device = Some(party.device);
                    call.version += 1;
                    note(call, Change::Moved(left), now, log);
                }
                Change::Ended(side)
            }
            (Phase::Connected, _) => return Ok(None),
            (Phase::Over(_), _) => return Ok(Some(id)),
        };
        self.finish(id, change, now, log);
        Ok(Some(id))
    }

    /// Ends what is due: rings that nobody answered, and calls whose device stayed away. Whoever
    /// does it first ends a call; for everybody after, there is nothing to end. Forgets what was over
    /// for [`Self::KEEP`].
    pub fn expire(&mut self, now: Timestamp, log: &mut Vec<Transition>) {
        let ids: Vec<_> = self.calls.keys().copied().collect();
        for id in ids {
            self.settle_call(id, now, log);
        }
        let is_kept = |call: &Call| call.ended_at.is_none_or(|at| now < at.after(Self::KEEP));
        self.calls.retain(|_, call| is_kept(call));
        self.latest.retain(|_, id| self.calls.contains_key(id));
    }

    fn connect(
        &mut self,
        id: CallId,
        device: DeviceId,
        change: Change,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.phase = Phase::Connected;
        call.version += 1;
        call.callee.device = Some(device);
        call.answered_at = Some(now);
        note(call, change, now, log);

        // Only what the two devices in the call have for each other is left.
        let call = &*call;
        self.parked.retain(|(user, device), parked| {
            let Some(side) = call.side_of(user) else {
                return true;
            };
            let keeps = call.leg(side).device == Some(*device)
                && call.side_of(&parked.to) == Some(side.other());
            keeps
                && (side == Side::Caller
                    || (change == Change::Accepted && call.started_at <= parked.since))
        });
    }

    /// The only way into [`Phase::Over`] for a call that was live.
    fn finish(&mut self, id: CallId, change: Change, now: Timestamp, log: &mut Vec<Transition>) {
        let Some((call, outcome)) = self.calls.get_mut(&id).zip(change.outcome()) else {
            return;
        };
        if !call.is_live() {
            return;
        }
        call.phase = Phase::Over(outcome);
        call.version += 1;
        call.ended_at = Some(now);
        note(call, change, now, log);
        let call = &*call;
        self.parked
            .retain(|(user, _), _| call.side_of(user).is_none());
    }

    fn settle(&mut self, user: &UserId, now: Timestamp, log: &mut Vec<Transition>) {
        if let Some(id) = self.latest.get(user).copied() {
            self.settle_call(id, now, log);
        }
    }

    fn settle_call(&mut self, id: CallId, now: Timestamp, log: &mut Vec<Transition>) {
        if let Some((at, change)) = self.call(id).and_then(Call::deadline)
            && at <= now
        {
            self.finish(id, change, now, log);
        }
    }

    fn latest_of(&self, user: &UserId) -> Option<&Call> {
        self.calls.get(self.latest.get(user)?)
    }

    fn latest_mut(&mut self, user: &UserId) -> Option<(&mut Call, Side)> {
        let call = self.calls.get_mut(self.latest.get(user)?)?;
        let side = call.side_of(user)?;
        Some((call, side))
    }

    fn locate(&self, party: &Party) -> Result<(&Call, Side), ChatError> {
        let call = match party.call {
            Some(id) => self.call(id),
            None => self.latest_of(&party.user),
        };
        call.and_then(|call| Some((call, call.side_of(&party.user)?)))
            .filter(|(call, side)| call.leg(side.other()).user == party.peer)
            .ok_or(ChatError::CallNotFound)
    }

    fn ringing_at(&self, party: &Party) -> Result<&Call, ChatError> {
        match self.locate(party)? {
            (call, Side::Callee) => Ok(call),
            (_, Side::Caller) => Err(ChatError::Forbidden("only who is called can do that")),
        }
    }
}

const fn check_ringing(phase: Phase) -> Result<(), ChatError> {
    match phase {
        Phase::Ringing => Ok(()),
        Phase::Connected => Err(ChatError::Conflict("the call was answered already")),
        Phase::Over(_) => Err(ChatError::Conflict("the call is over")),
    }
}

fn new_call(request: &Initiate, rules: CallRules, now: Timestamp, phase: Phase) -> Call {
    let leg = |user: &UserId, device| Leg {
        user: user.clone(),
        device,
        gone_since: None,
        heard_until: None,
        n_signals: 0,
    };
    Call {
        id: request.call,
        conversation: request.conversation,
        kind: request.kind,
        caller: leg(&request.caller, Some(request.device)),
        callee: leg(&request.callee, None),
        phase,
        version: 1,
        started_at: now,
        rings_until: now.after(rules.ring),
        grace: rules.grace,
        answered_at: None,
        ended_at: matches!(phase, Phase::Over(_)).then_some(now),
        awaits_answer: false,
        reason: None,
    }
}

fn note(call: &Call, change: Change, at: Timestamp, log: &mut Vec<Transition>) {
    log.push(Transition {
        call: call.clone(),
        change,
        at,
    });
}
