//! A change of a call, and who is told what about it.

use super::{Call, DeviceId, Leg, Notice, Outcome, Phase, Recipient, Side, Tell};
use crate::Timestamp;

/// One change, with the call as it is after it. `(call.id, call.version)` names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Transition {
    pub call: Call,
    pub change: Change,
    pub at: Timestamp,
}

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It began to ring.
    Ringing,
    /// It was over before it rang.
    Busy,
    /// One of the two went on on another device; this is the one left behind.
    Moved(DeviceId),
    /// A device of the callee accepted.
    Accepted,
    /// Both rang each other: the second to do so accepted by that.
    Merged,
    /// The callee declined, on this device.
    Rejected(DeviceId),
    /// The caller gave up or stayed away.
    Cancelled,
    /// Nobody accepted in time.
    NoAnswer,
    /// This side hung up or stayed away.
    Ended(Side),
}

impl Change {
    /// Returns how the call ended, if this ended it.
    #[must_use]
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Ringing | Self::Moved(_) | Self::Accepted | Self::Merged => None,
            Self::Busy => Some(Outcome::Busy),
            Self::Rejected(_) => Some(Outcome::Rejected),
            Self::Cancelled => Some(Outcome::Cancelled),
            Self::NoAnswer => Some(Outcome::NoAnswer),
            Self::Ended(_) => Some(Outcome::Ended),
        }
    }
}

impl Transition {
    /// Returns everything there is to tell, in order.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let Call { caller, callee, .. } = &self.call;
        let to_callee = Recipient::AllDevices(callee.user.clone());
        match self.change {
            Change::Ringing => vec![
                self.tell(one(caller), Tell::Ringing),
                self.tell(to_callee, Tell::Incoming),
            ],
            Change::Busy => vec![self.tell(one(caller), Tell::Busy)],
            // Whose device it is shows by where it is.
            Change::Moved(from) => [caller, callee]
                .map(|leg| self.tell(Recipient::Device(leg.user.clone(), from), Tell::Ended))
                .into(),
            Change::Accepted => vec![
                self.tell(one(callee), Tell::Connected),
                self.tell(one(caller), Tell::Accepted),
                self.tell(others(callee, callee.device), Tell::AnsweredElsewhere),
            ],
            Change::Merged => vec![
                self.tell(one(callee), Tell::Accepted),
                self.tell(one(callee), Tell::Connected),
                self.tell(one(caller), Tell::Accepted),
                self.tell(one(caller), Tell::Connected),
                self.tell(others(callee, callee.device), Tell::AnsweredElsewhere),
            ],
            Change::Rejected(device) => vec![
                self.tell(one(caller), Tell::Rejected),
                self.tell(others(callee, Some(device)), Tell::DeclinedElsewhere),
            ],
            Change::Cancelled => vec![self.tell(to_callee, Tell::Ended)],
            Change::NoAnswer => vec![
                self.tell(one(caller), Tell::NoAnswer),
                self.tell(to_callee, Tell::Missed),
            ],
            Change::Ended(by) => vec![self.tell(one(self.call.leg(by.other())), Tell::Ended)],
        }
    }

    fn tell(&self, to: Recipient, tell: Tell) -> Notice {
        Notice {
            call: self.call.id,
            version: self.call.version,
            to,
            tell,
        }
    }
}

impl Call {
    /// Returns what the device of `side` has to be told when it was out of reach since `since`.
    #[must_use]
    pub fn missed(&self, side: Side, since: Timestamp) -> Option<Tell> {
        let late = |moment: Option<Timestamp>| moment.is_some_and(|moment| since <= moment);
        match (self.phase, side) {
            (Phase::Connected, Side::Caller) if late(self.answered_at) => Some(Tell::Accepted),
            (Phase::Connected, Side::Callee) if late(self.answered_at) => Some(Tell::Connected),
            (Phase::Over(outcome), _) if late(self.ended_at) => match (outcome, side) {
                (Outcome::Busy, Side::Caller) => Some(Tell::Busy),
                (Outcome::Rejected, Side::Caller) => Some(Tell::Rejected),
                (Outcome::NoAnswer, Side::Caller) => Some(Tell::NoAnswer),
                (Outcome::Cancelled | Outcome::Ended, _) => Some(Tell::Ended),
                // A call that was never accepted has no device of the callee.
                (Outcome::Busy | Outcome::Rejected | Outcome::NoAnswer, Side::Callee) => None,
            },
            (Phase::Ringing | Phase::Connected | Phase::Over(_), _) => None,
        }
    }
}

/// The device in the call, or all of the user's while there is none.
fn one(leg: &Leg) -> Recipient {
    match leg.device {
        Some(device) => Recipient::Device(leg.user.clone(), device),
        None => Recipient::AllDevices(leg.user.clone()),
    }
}

fn others(leg: &Leg, device: Option<DeviceId>) -> Recipient {
    match device {
        Some(device) => Recipient::OtherDevices(leg.user.clone(), device),
        None => Recipient::AllDevices(leg.user.clone()),
    }
}
