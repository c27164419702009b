//! What a device believes of a call, and what it has to be told to believe what is true.
//!
//! News of calls has no number, so nobody notices when some is lost: a device that rings or is in a
//! call asks now and then. How news usually comes is [`Transition::notices`](super::Transition).

use super::{Call, CallId, DeviceId, Notice, Outcome, Phase, Recipient, Side, Tell};

/// A call that goes on, as far as a device heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heard {
    /// The call.
    pub call: CallId,
    /// Its version when the device last heard of it.
    pub version: u32,
    /// Whether the device heard that it is connected; else it rings.
    pub is_connected: bool,
}

/// What a device finds that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What it has to be told.
    pub notices: Vec<Notice>,
    /// The call that it is in, in place of another device or of itself.
    pub goes_on: Option<Heard>,
}

impl Call {
    /// Returns what a device hears of the call that is in it; `None` when it is over.
    #[must_use]
    pub fn as_heard(&self) -> Option<Heard> {
        self.is_live().then_some(Heard {
            call: self.id,
            version: self.version,
            is_connected: self.phase == Phase::Connected,
        })
    }

    /// Returns what follows when `device`, of `side`, asks about what it `heard`: mostly it has
    /// missed nothing. A caller who waits has its callee told once more that it rings.
    #[must_use]
    pub fn retell(&self, side: Side, device: DeviceId, heard: &Heard) -> Option<Notice> {
        if self.phase == Phase::Ringing && side == Side::Caller && self.is_in(side, device) {
            return Some(Notice {
                call: self.id,
                version: self.version,
                to: Recipient::AllDevices(self.callee.user.clone()),
                tell: Tell::Incoming,
            });
        }
        Some(Notice {
            call: self.id,
            // Of what a loss of the shared state took back, the device may have heard more.
            version: self.version.max(heard.version),
            to: Recipient::Device(self.leg(side).user.clone(), device),
            tell: self.unheard(side, self.is_in(side, device), heard.is_connected)?,
        })
    }

    fn is_in(&self, side: Side, device: DeviceId) -> bool {
        self.leg(side).device == Some(device)
    }

    const fn unheard(&self, side: Side, is_in: bool, was_connected: bool) -> Option<Tell> {
        Some(match (self.phase, side) {
            (Phase::Over(_), _) if was_connected => Tell::Ended,
            (Phase::Over(outcome), Side::Caller) => match outcome {
                Outcome::Busy => Tell::Busy,
                Outcome::Rejected => Tell::Rejected,
                Outcome::NoAnswer => Tell::NoAnswer,
                Outcome::Cancelled | Outcome::Ended => Tell::Ended,
            },
            (Phase::Over(outcome), Side::Callee) => match outcome {
                Outcome::NoAnswer => Tell::Missed,
                Outcome::Rejected => Tell::DeclinedElsewhere,
                Outcome::Ended if !is_in => Tell::AnsweredElsewhere,
                Outcome::Busy | Outcome::Cancelled | Outcome::Ended => Tell::Ended,
            },
            // Who was connected may be so on another device now, and that one is told.
            (Phase::Connected, _) if was_connected => return None,
            (Phase::Connected, Side::Caller) if is_in => Tell::Accepted,
            (Phase::Connected, Side::Callee) if is_in => Tell::Connected,
            (Phase::Connected, Side::Callee) => Tell::AnsweredElsewhere,
            (Phase::Connected | Phase::Ringing, Side::Caller) if !is_in => Tell::Ended,
            (Phase::Connected | Phase::Ringing, _) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{
        ConversationId, Timestamp, UserId,
        call::{CallKind, GatewayId, Leg},
    };

    const HERE: DeviceId = device(1);
    const ELSEWHERE: DeviceId = device(2);

    const fn device(socket: u64) -> DeviceId {
        DeviceId {
            gateway: GatewayId(1),
            socket,
        }
    }

    fn call(phase: Phase, caller: DeviceId, callee: Option<DeviceId>) -> Call {
        let leg = |user, device| Leg {
            user: UserId::new(user).unwrap(),
            device,
            gone_since: None,
            heard_until: None,
            n_signals: 0,
        };
        Call {
            id: CallId(Uuid::nil()),
            conversation: ConversationId(Uuid::nil()),
            kind: CallKind::Video,
            caller: leg("a", Some(caller)),
            callee: leg("b", callee),
            phase,
            version: 5,
            started_at: Timestamp(0),
            rings_until: Timestamp(0),
            grace: Duration::ZERO,
            answered_at: None,
            ended_at: None,
            awaits_answer: false,
            reason: None,
        }
    }

    /// What a device of `side` is told that heard that it rings, or that it is connected.
    fn told(call: &Call, side: Side, is_connected: bool) -> Option<Tell> {
        let heard = Heard {
            call: call.id,
            version: 2,
            is_connected,
        };
        let notice = call.retell(side, HERE, &heard)?;
        let itself = Recipient::Device(call.leg(side).user.clone(), HERE);
        assert_eq!((notice.to, notice.version), (itself, 5));
        Some(notice.tell)
    }

    #[test]
    fn a_call_that_is_over_is_over_for_everybody() {
        for (outcome, caller, callee) in [
            (Outcome::Busy, Tell::Busy, Tell::Ended),
            (Outcome::Rejected, Tell::Rejected, Tell::DeclinedElsewhere),
            (Outcome::Cancelled, Tell::Ended, Tell::Ended),
            (Outcome::NoAnswer, Tell::NoAnswer, Tell::Missed),
            (Outcome::Ended, Tell::Ended, Tell::AnsweredElsewhere),
        ] {
            let over = call(Phase::Over(outcome), HERE, None);
            assert_eq!(told(&over, Side::Caller, false), Some(caller));
            assert_eq!(told(&over, Side::Callee, false), Some(callee));
            assert_eq!(told(&over, Side::Caller, true), Some(Tell::Ended));
            assert_eq!(told(&over, Side::Callee, true), Some(Tell::Ended));
        }
        let answered_here = call(Phase::Over(Outcome::Ended), ELSEWHERE, Some(HERE));
        assert_eq!(told(&answered_here, Side::Callee, false), Some(Tell::Ended));
    }

    #[test]
    fn who_is_connected_and_heard_only_that_it_rings_is_told() {
        let here = call(Phase::Connected, HERE, Some(HERE));
        assert_eq!(told(&here, Side::Caller, false), Some(Tell::Accepted));
        assert_eq!(told(&here, Side::Callee, false), Some(Tell::Connected));
        assert_eq!(told(&here, Side::Caller, true), None);
        assert_eq!(told(&here, Side::Callee, true), None);
    }

    #[test]
    fn where_another_device_is_in_the_call_it_does_not_ring() {
        let elsewhere = call(Phase::Connected, ELSEWHERE, Some(ELSEWHERE));
        assert_eq!(told(&elsewhere, Side::Caller, false), Some(Tell::Ended));
        let tell = told(&elsewhere, Side::Callee, false);
        assert_eq!(tell, Some(Tell::AnsweredElsewhere));
        let moved = call(Phase::Ringing, ELSEWHERE, None);
        assert_eq!(told(&moved, Side::Caller, false), Some(Tell::Ended));
    }

    #[test]
    fn who_waits_has_the_other_told_again() {
        let ringing = call(Phase::Ringing, HERE, None);
        let heard = Heard {
            call: ringing.id,
            version: 9,
            is_connected: false,
        };

        assert_eq!(
            ringing.retell(Side::Caller, HERE, &heard),
            Some(Notice {
                call: ringing.id,
                version: 5,
                to: Recipient::AllDevices(ringing.callee.user.clone()),
                tell: Tell::Incoming,
            })
        );
        assert_eq!(told(&ringing, Side::Callee, false), None);
    }

    #[test]
    fn what_a_loss_took_back_is_told_nevertheless() {
        let over = call(Phase::Over(Outcome::Ended), HERE, None);
        let heard = Heard {
            call: over.id,
            version: 1_005,
            is_connected: true,
        };

        let notice = over.retell(Side::Caller, HERE, &heard).unwrap();
        assert_eq!((notice.version, notice.tell), (1_005, Tell::Ended));
    }
}
