//! Calls between wire and domain. Signals are in `convert_signals`.

use std::time::Duration;

use bytes::Bytes;
use chat_domain::{
    ConversationId, Timestamp, UserId,
    call::{
        CallId, CallKind, DeviceId, GatewayId, Heard, Notice, Outcome, Party, Recipient, Ringing,
        Summary, Tell,
    },
};

use crate::{WireError, WireId, v1};

impl WireId for DeviceId {
    fn to_wire(self) -> Bytes {
        [self.gateway.0.to_be_bytes(), self.socket.to_be_bytes()]
            .concat()
            .into()
    }

    fn from_wire(bytes: &[u8]) -> Result<Self, WireError> {
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes);
        bytes
            .split_at_checked(size_of::<u64>())
            .and_then(|(gateway, socket)| {
                Some(Self {
                    gateway: GatewayId(number(gateway).ok()?),
                    socket: number(socket).ok()?,
                })
            })
            .ok_or(WireError::Field("device"))
    }
}

impl From<&Summary> for v1::Call {
    fn from(call: &Summary) -> Self {
        Self {
            id: call.id.to_wire(),
            conversation_id: call.conversation.to_wire(),
            kind: call.kind.as_str().to_owned(),
            caller_id: call.caller.as_str().to_owned(),
            callee_id: call.callee.as_str().to_owned(),
            version: call.version,
            started_at_ms: call.started_at.0,
            outcome: call
                .outcome
                .map_or_else(String::new, |outcome| outcome.as_str().to_owned()),
            reason: call.reason.as_deref().map(str::to_owned),
            duration_ms: call
                .duration
                .map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl TryFrom<v1::Call> for Summary {
    type Error = WireError;

    fn try_from(call: v1::Call) -> Result<Self, WireError> {
        let duration = |millis| {
            u64::try_from(millis)
                .map(Duration::from_millis)
                .map_err(|_| WireError::Field("call.duration"))
        };
        Ok(Self {
            id: CallId::from_wire(&call.id)?,
            conversation: ConversationId::from_wire(&call.conversation_id)?,
            kind: CallKind::parse(&call.kind)?,
            caller: UserId::new(&call.caller_id)?,
            callee: UserId::new(&call.callee_id)?,
            version: call.version,
            started_at: Timestamp(call.started_at_ms),
            outcome: match call.outcome.as_str() {
                "" => None,
                outcome => Some(Outcome::parse(outcome)?),
            },
            reason: call.reason.map(Into::into),
            duration: call.duration_ms.map(duration).transpose()?,
        })
    }
}

impl From<(&Notice, &Summary)> for v1::CallNotice {
    fn from((notice, call): (&Notice, &Summary)) -> Self {
        use v1::call_notice::Devices;

        let (user, devices) = match &notice.to {
            Recipient::AllDevices(user) => (user, None),
            Recipient::Device(user, device) => (user, Some(Devices::Only(device.to_wire()))),
            Recipient::OtherDevices(user, device) => {
                (user, Some(Devices::AllBut(device.to_wire())))
            }
        };
        Self {
            call: Some(call.into()),
            version: notice.version,
            tell: v1::CallTell::from(notice.tell).into(),
            user_id: user.as_str().to_owned(),
            devices,
        }
    }
}

impl TryFrom<v1::CallNotice> for (Notice, Summary) {
    type Error = WireError;

    fn try_from(notice: v1::CallNotice) -> Result<Self, WireError> {
        use v1::call_notice::Devices;

        let tell = notice.tell().try_into()?;
        let call = notice.call.ok_or(WireError::Field("notice.call"))?;
        let call = Summary::try_from(call)?;
        let user = UserId::new(&notice.user_id)?;
        let notice = Notice {
            call: call.id,
            version: notice.version,
            to: match notice.devices {
                None => Recipient::AllDevices(user),
                Some(Devices::Only(device)) => {
                    Recipient::Device(user, DeviceId::from_wire(&device)?)
                }
                Some(Devices::AllBut(device)) => {
                    Recipient::OtherDevices(user, DeviceId::from_wire(&device)?)
                }
            },
            tell,
        };
        Ok((notice, call))
    }
}

impl From<Tell> for v1::CallTell {
    fn from(tell: Tell) -> Self {
        match tell {
            Tell::Ringing => Self::Ringing,
            Tell::Incoming => Self::Incoming,
            Tell::Accepted => Self::Accepted,
            Tell::Connected => Self::Connected,
            Tell::AnsweredElsewhere => Self::AnsweredElsewhere,
            Tell::DeclinedElsewhere => Self::DeclinedElsewhere,
            Tell::Rejected => Self::Rejected,
            Tell::Busy => Self::Busy,
            Tell::NoAnswer => Self::NoAnswer,
            Tell::Missed => Self::Missed,
            Tell::Ended => Self::Ended,
        }
    }
}

impl TryFrom<v1::CallTell> for Tell {
    type Error = WireError;

    fn try_from(tell: v1::CallTell) -> Result<Self, WireError> {
        Ok(match tell {
            // Also what a newer release may have invented.
            v1::CallTell::Unspecified => return Err(WireError::Field("notice.tell")),
            v1::CallTell::Ringing => Self::Ringing,
            v1::CallTell::Incoming => Self::Incoming,
            v1::CallTell::Accepted => Self::Accepted,
            v1::CallTell::Connected => Self::Connected,
            v1::CallTell::AnsweredElsewhere => Self::AnsweredElsewhere,
            v1::CallTell::DeclinedElsewhere => Self::DeclinedElsewhere,
            v1::CallTell::Rejected => Self::Rejected,
            v1::CallTell::Busy => Self::Busy,
            v1::CallTell::NoAnswer => Self::NoAnswer,
            v1::CallTell::Missed => Self::Missed,
            v1::CallTell::Ended => Self::Ended,
        })
    }
}

impl From<&Party> for v1::CallParty {
    fn from(party: &Party) -> Self {
        Self {
            user_id: party.user.as_str().to_owned(),
            device: party.device.to_wire(),
            peer_id: party.peer.as_str().to_owned(),
            call_id: party.call.map(WireId::to_wire),
            age_ms: Some(u64::try_from(party.age.as_millis()).unwrap_or(u64::MAX)),
            n: party.n,
        }
    }
}

impl TryFrom<v1::CallParty> for Party {
    type Error = WireError;

    fn try_from(party: v1::CallParty) -> Result<Self, WireError> {
        Ok(Self {
            user: UserId::new(&party.user_id)?,
            device: DeviceId::from_wire(&party.device)?,
            peer: UserId::new(&party.peer_id)?,
            call: party.call_id.map(|id| CallId::from_wire(&id)).transpose()?,
            // A device of which that is not known has been there for ever.
            age: party.age_ms.map_or(Duration::MAX, Duration::from_millis),
            n: party.n,
        })
    }
}

impl From<&Heard> for v1::HeardCall {
    fn from(heard: &Heard) -> Self {
        Self {
            call_id: heard.call.to_wire(),
            version: heard.version,
            connected: heard.is_connected,
        }
    }
}

impl TryFrom<v1::HeardCall> for Heard {
    type Error = WireError;

    fn try_from(heard: v1::HeardCall) -> Result<Self, WireError> {
        Ok(Self {
            call: CallId::from_wire(&heard.call_id)?,
            version: heard.version,
            is_connected: heard.connected,
        })
    }
}

impl From<Ringing> for v1::InitiateCallReply {
    fn from(ringing: Ringing) -> Self {
        let (id, ringing) = match ringing {
            Ringing::New(id) => (id, v1::CallRinging::New),
            Ringing::Already(id) => (id, v1::CallRinging::Already),
            Ringing::Connected(id) => (id, v1::CallRinging::Connected),
            Ringing::Merged(id) => (id, v1::CallRinging::Merged),
            Ringing::Busy(id) => (id, v1::CallRinging::Busy),
        };
        Self {
            call_id: id.to_wire(),
            ringing: ringing.into(),
        }
    }
}

impl TryFrom<v1::InitiateCallReply> for Ringing {
    type Error = WireError;

    fn try_from(reply: v1::InitiateCallReply) -> Result<Self, WireError> {
        let id = CallId::from_wire(&reply.call_id)?;
        match reply.ringing() {
            v1::CallRinging::Unspecified => Err(WireError::Field("reply.ringing")),
            v1::CallRinging::New => Ok(Self::New(id)),
            v1::CallRinging::Already => Ok(Self::Already(id)),
            v1::CallRinging::Connected => Ok(Self::Connected(id)),
            v1::CallRinging::Merged => Ok(Self::Merged(id)),
            v1::CallRinging::Busy => Ok(Self::Busy(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: WireId>(n: u8) -> T {
        T::from_wire(&[n; 16]).unwrap()
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn call() -> Summary {
        Summary {
            id: id(1),
            conversation: id(2),
            kind: CallKind::Video,
            caller: user("a"),
            callee: user("b"),
            version: 3,
            started_at: Timestamp(4),
            outcome: Some(Outcome::Ended),
            reason: Some("later".into()),
            duration: Some(Duration::from_millis(5)),
        }
    }

    #[test]
    fn notices_survive_the_wire() {
        let call = call();

        for to in [
            Recipient::AllDevices(user("a")),
            Recipient::Device(user("a"), id(7)),
            Recipient::OtherDevices(user("a"), id(7)),
        ] {
            let notice = Notice {
                call: call.id,
                version: 2,
                to,
                tell: Tell::AnsweredElsewhere,
            };
            let wire = v1::CallNotice::from((&notice, &call));
            let read = <(Notice, Summary)>::try_from(wire).unwrap();
            assert_eq!(read, (notice, call.clone()));
        }
    }

    #[test]
    fn what_a_newer_release_tells_is_refused() {
        let notice = Notice {
            call: call().id,
            version: 2,
            to: Recipient::AllDevices(user("a")),
            tell: Tell::Ended,
        };
        let mut wire = v1::CallNotice::from((&notice, &call()));
        wire.tell = 99;

        assert!(<(Notice, Summary)>::try_from(wire).is_err());
    }

    #[test]
    fn requests_and_answers_survive_the_wire() {
        let party = Party {
            user: user("a"),
            device: id(1),
            peer: user("b"),
            call: Some(id(2)),
            age: Duration::from_millis(7),
            n: 3,
        };
        let wire = v1::CallParty::from(&party);
        assert_eq!(Party::try_from(wire).unwrap(), party);

        for ringing in [
            Ringing::New(id(1)),
            Ringing::Already(id(1)),
            Ringing::Connected(id(1)),
            Ringing::Merged(id(1)),
            Ringing::Busy(id(1)),
        ] {
            let wire = v1::InitiateCallReply::from(ringing);
            assert_eq!(Ringing::try_from(wire).unwrap(), ringing);
        }
        let heard = Heard {
            call: id(1),
            version: 2,
            is_connected: true,
        };
        assert_eq!(Heard::try_from(v1::HeardCall::from(&heard)).unwrap(), heard);
    }

    #[test]
    fn a_device_is_written_as_the_origin_of_events() {
        let device = DeviceId {
            gateway: GatewayId(1),
            socket: 2,
        };

        let wire = device.to_wire();

        assert_eq!(*wire, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(DeviceId::from_wire(&wire).unwrap(), device);
        for bad in [&wire[1..], &[0; 17], &[]] {
            assert!(DeviceId::from_wire(bad).is_err());
        }
    }
}
