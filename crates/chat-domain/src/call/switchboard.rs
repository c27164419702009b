//! The rules of calls, over all calls of an app at once: a user is in one call at most.

use std::{collections::BTreeMap, time::Duration};

use super::{Call, CallId, CallKind, DeviceId, Leg, Notice, Outcome, Phase, Recipient, Tell};
use crate::{ChatError, ConversationId, Timestamp, UserId};

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
}

/// What became of a request to call somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ringing {
    /// A new call rings.
    New(CallId),
    /// It rings already: the same call, the same deadline.
    Already(CallId),
    /// Both called each other: the first call is connected.
    Glare(CallId),
    /// The callee, or the caller, is in another call: there is no new one.
    Busy,
}

/// What a missing device does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The grace runs; ask again at this time.
    Until(Timestamp),
    /// The device is in no call.
    Unaffected,
}

/// Every live call, and those that are over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Switchboard {
    calls: BTreeMap<CallId, Call>,
    occupied: BTreeMap<UserId, CallId>,
}

impl Switchboard {
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
        self.calls.get(self.occupied.get(user)?)
    }

    /// Starts a call, unless it exists or cannot.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for a call to oneself. That both take part in the
    /// conversation is the caller's to check.
    pub fn initiate(
        &mut self,
        request: Initiate,
        rules: CallRules,
        now: Timestamp,
        notices: &mut Vec<Notice>,
    ) -> Result<Ringing, ChatError> {
        if request.caller == request.callee {
            return Err(ChatError::Malformed("nobody can call themselves"));
        }
        if let Some(call) = self.call_of(&request.caller) {
            let same_parties = call.involves(&request.callee) && call.phase == Phase::Ringing;
            if same_parties && call.caller.user == request.caller {
                return Ok(Ringing::Already(call.id));
            }
            if same_parties && call.conversation == request.conversation {
                let id = call.id;
                self.accept(&request.caller, request.device, now, notices)?;
                return Ok(Ringing::Glare(id));
            }
            notices.push(busy(&request));
            return Ok(Ringing::Busy);
        }
        if self.call_of(&request.callee).is_some() {
            notices.push(busy(&request));
            return Ok(Ringing::Busy);
        }

        let call = Call {
            id: request.call,
            conversation: request.conversation,
            kind: request.kind,
            caller: Leg {
                user: request.caller,
                device: Some(request.device),
                gone_since: None,
            },
            callee: Leg {
                user: request.callee,
                device: None,
                gone_since: None,
            },
            phase: Phase::Ringing,
            version: 1,
            rings_until: after(now, rules.ring),
        };
        tell(&call, one(&call.caller), Tell::Ringing, notices);
        tell(&call, all(&call.callee), Tell::Incoming, notices);
        self.occupied.insert(call.caller.user.clone(), call.id);
        self.occupied.insert(call.callee.user.clone(), call.id);
        let id = call.id;
        self.calls.insert(id, call);
        Ok(Ringing::New(id))
    }

    /// Accepts the call that rings at `user`, on one device.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Conflict`] when no call rings there: it is over, or another device was
    /// faster.
    pub fn accept(
        &mut self,
        user: &UserId,
        device: DeviceId,
        now: Timestamp,
        notices: &mut Vec<Notice>,
    ) -> Result<CallId, ChatError> {
        let call = self.ringing_at(user)?;
        if call.rings_until <= now {
            return Err(ChatError::Conflict("the call is no longer ringing"));
        }
        call.phase = Phase::Connected;
        call.version += 1;
        call.callee.device = Some(device);
        tell(
            call,
            Recipient::Device(user.clone(), device),
            Tell::Connected,
            notices,
        );
        tell(call, one(&call.caller), Tell::Accepted, notices);
        tell(
            call,
            Recipient::OtherDevices(user.clone(), device),
            Tell::AnsweredElsewhere,
            notices,
        );
        Ok(call.id)
    }

    /// Declines the call that rings at `user`.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Conflict`] when no call rings there.
    pub fn reject(
        &mut self,
        user: &UserId,
        device: DeviceId,
        notices: &mut Vec<Notice>,
    ) -> Result<CallId, ChatError> {
        let id = self.ringing_at(user)?.id;
        self.finish(id, Outcome::Rejected, |call| {
            tell(call, one(&call.caller), Tell::Rejected, notices);
            tell(
                call,
                Recipient::OtherDevices(user.clone(), device),
                Tell::DeclinedElsewhere,
                notices,
            );
        });
        Ok(id)
    }

    /// Hangs up: the caller of a ringing call cancels it, its callee declines it, either ends a
    /// connected one. `None` when the user is in no call.
    pub fn hang_up(
        &mut self,
        user: &UserId,
        device: DeviceId,
        notices: &mut Vec<Notice>,
    ) -> Option<CallId> {
        let call = self.call_of(user)?;
        let id = call.id;
        match call.phase {
            Phase::Ringing if call.callee.user == *user => {
                return self.reject(user, device, notices).ok();
            }
            Phase::Ringing => self.finish(id, Outcome::Cancelled, |call| {
                tell(call, all(&call.callee), Tell::Ended, notices);
            }),
            Phase::Connected => self.end(id, user, notices),
            Phase::Over(_) => return None,
        }
        Some(id)
    }

    /// Notes that a device is disconnected.
    pub fn gone(
        &mut self,
        user: &UserId,
        device: DeviceId,
        rules: CallRules,
        now: Timestamp,
    ) -> Gone {
        let Some(leg) = self.leg_of(user) else {
            return Gone::Unaffected;
        };
        if leg.device != Some(device) {
            return Gone::Unaffected;
        }
        let since = *leg.gone_since.get_or_insert(now);
        Gone::Until(after(since, rules.grace))
    }

    /// Notes that a user connected: a device whose place in a call is empty takes it, and one that
    /// is being called rings.
    pub fn back(&mut self, user: &UserId, device: DeviceId, notices: &mut Vec<Notice>) {
        if let Some(leg) = self.leg_of(user)
            && leg.gone_since.take().is_some()
        {
            leg.device = Some(device);
        }
        if let Some(call) = self.call_of(user)
            && call.phase == Phase::Ringing
            && call.callee.user == *user
        {
            tell(
                call,
                Recipient::Device(user.clone(), device),
                Tell::Incoming,
                notices,
            );
        }
    }

    /// Ends what is due: rings that nobody answered, and calls whose device stayed away. Whoever
    /// calls it first ends a call; for everybody after, there is nothing to end.
    pub fn expire(&mut self, rules: CallRules, now: Timestamp, notices: &mut Vec<Notice>) {
        let due: Vec<_> = self
            .calls
            .values()
            .filter_map(|call| due(call, rules, now))
            .collect();
        for (id, reason) in due {
            match reason {
                Due::Unanswered => self.finish(id, Outcome::NoAnswer, |call| {
                    tell(call, one(&call.caller), Tell::NoAnswer, notices);
                    tell(call, all(&call.callee), Tell::Missed, notices);
                }),
                Due::CallerAway => self.finish(id, Outcome::Cancelled, |call| {
                    tell(call, all(&call.callee), Tell::Ended, notices);
                }),
                Due::Away(user) => self.end(id, &user, notices),
            }
        }
    }

    fn end(&mut self, id: CallId, by: &UserId, notices: &mut Vec<Notice>) {
        self.finish(id, Outcome::Ended, |call| {
            let other = if call.caller.user == *by {
                &call.callee
            } else {
                &call.caller
            };
            tell(call, one(other), Tell::Ended, notices);
        });
    }

    /// The only way into [`Phase::Over`].
    fn finish(&mut self, id: CallId, outcome: Outcome, announce: impl FnOnce(&Call)) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.is_live()) else {
            return;
        };
        call.phase = Phase::Over(outcome);
        call.version += 1;
        announce(call);
        for user in [&call.caller.user, &call.callee.user] {
            self.occupied.remove(user);
        }
    }

    fn ringing_at(&mut self, user: &UserId) -> Result<&mut Call, ChatError> {
        self.occupied
            .get(user)
            .and_then(|id| self.calls.get_mut(id))
            .filter(|call| call.phase == Phase::Ringing && call.callee.user == *user)
            .ok_or(ChatError::Conflict("the call is no longer ringing"))
    }

    fn leg_of(&mut self, user: &UserId) -> Option<&mut Leg> {
        let call = self.calls.get_mut(self.occupied.get(user)?)?;
        Some(if call.caller.user == *user {
            &mut call.caller
        } else {
            &mut call.callee
        })
    }
}

enum Due {
    Unanswered,
    CallerAway,
    Away(UserId),
}

fn due(call: &Call, rules: CallRules, now: Timestamp) -> Option<(CallId, Due)> {
    let away = |leg: &Leg| {
        leg.gone_since
            .is_some_and(|since| after(since, rules.grace) <= now)
    };
    let reason = match call.phase {
        Phase::Ringing if call.rings_until <= now => Due::Unanswered,
        Phase::Ringing if away(&call.caller) => Due::CallerAway,
        Phase::Connected => {
            let leg = [&call.caller, &call.callee]
                .into_iter()
                .find(|leg| away(leg))?;
            Due::Away(leg.user.clone())
        }
        Phase::Ringing | Phase::Over(_) => return None,
    };
    Some((call.id, reason))
}

fn busy(request: &Initiate) -> Notice {
    Notice {
        call: request.call,
        version: 0,
        to: Recipient::Device(request.caller.clone(), request.device),
        tell: Tell::Busy,
    }
}

fn tell(call: &Call, to: Recipient, tell: Tell, notices: &mut Vec<Notice>) {
    notices.push(Notice {
        call: call.id,
        version: call.version,
        to,
        tell,
    });
}

fn all(leg: &Leg) -> Recipient {
    Recipient::AllDevices(leg.user.clone())
}

/// The device in the call, or all of the user's while there is none.
fn one(leg: &Leg) -> Recipient {
    match leg.device {
        Some(device) => Recipient::Device(leg.user.clone(), device),
        None => all(leg),
    }
}

fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(
        moment
            .0
            .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
    )
}
