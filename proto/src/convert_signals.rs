//! What the two of a call signal to each other, between wire and domain.

use std::fmt;

use chat_domain::{
    UserId,
    call::{CallId, DeviceId, Handed, Route, Signal, SignalKind},
};

use crate::{WireError, WireId, v1};

impl fmt::Debug for v1::CallSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSignal")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl From<&Signal> for v1::CallSignal {
    fn from(signal: &Signal) -> Self {
        let kind = match signal.kind() {
            SignalKind::Offer => v1::CallSignalKind::Offer,
            SignalKind::Answer => v1::CallSignalKind::Answer,
            SignalKind::Candidate => v1::CallSignalKind::Candidate,
        };
        Self {
            kind: kind.into(),
            payload: signal.payload().to_owned(),
        }
    }
}

impl TryFrom<&v1::CallSignal> for Signal {
    type Error = WireError;

    fn try_from(signal: &v1::CallSignal) -> Result<Self, WireError> {
        let kind = match signal.kind() {
            v1::CallSignalKind::Unspecified => return Err(WireError::Field("signal.kind")),
            v1::CallSignalKind::Offer => SignalKind::Offer,
            v1::CallSignalKind::Answer => SignalKind::Answer,
            v1::CallSignalKind::Candidate => SignalKind::Candidate,
        };
        Ok(Self::new(kind, &signal.payload)?)
    }
}

impl From<&Handed> for v1::CallSignals {
    fn from(handed: &Handed) -> Self {
        let (user, device) = &handed.to;
        Self {
            call_id: handed.call.to_wire(),
            from_user_id: handed.from.as_str().to_owned(),
            user_id: user.as_str().to_owned(),
            device: device.to_wire(),
            first_place: handed.first,
            signals: handed.signals.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::CallSignals> for Handed {
    type Error = WireError;

    fn try_from(signals: v1::CallSignals) -> Result<Self, WireError> {
        if signals.first_place == 0 {
            return Err(WireError::Field("signals.first_place"));
        }
        Ok(Self {
            call: CallId::from_wire(&signals.call_id)?,
            from: UserId::new(&signals.from_user_id)?,
            to: (
                UserId::new(&signals.user_id)?,
                DeviceId::from_wire(&signals.device)?,
            ),
            first: signals.first_place,
            signals: signals
                .signals
                .iter()
                .map(Signal::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Route> for v1::SignalReply {
    fn from(route: &Route) -> Self {
        let relay = match route {
            Route::Relay {
                call,
                to: (user, device),
                place,
            } => Some(v1::CallRelay {
                call_id: call.to_wire(),
                user_id: user.as_str().to_owned(),
                device: device.to_wire(),
                place: *place,
            }),
            Route::Parked | Route::Dropped => None,
        };
        Self {
            relay,
            parked: *route == Route::Parked,
        }
    }
}

impl TryFrom<v1::SignalReply> for Route {
    type Error = WireError;

    fn try_from(reply: v1::SignalReply) -> Result<Self, WireError> {
        match reply.relay {
            Some(relay) => Ok(Self::Relay {
                call: CallId::from_wire(&relay.call_id)?,
                to: (
                    UserId::new(&relay.user_id)?,
                    DeviceId::from_wire(&relay.device)?,
                ),
                place: relay.place,
            }),
            None if reply.parked => Ok(Self::Parked),
            None => Ok(Self::Dropped),
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

    #[test]
    fn signals_survive_the_wire_and_print_nothing_of_it() {
        let handed = Handed {
            call: id(1),
            from: user("a"),
            to: (user("b"), id(2)),
            first: 1,
            signals: vec![Signal::new(SignalKind::Candidate, "192.0.2.1").unwrap()],
        };

        let wire = v1::CallSignals::from(&handed);

        assert!(!format!("{wire:?}").contains("192"));
        assert_eq!(Handed::try_from(wire).unwrap(), handed);
    }

    #[test]
    fn routes_survive_the_wire() {
        let relay = Route::Relay {
            call: id(1),
            to: (user("b"), id(2)),
            place: 3,
        };
        for route in [relay, Route::Parked, Route::Dropped] {
            let wire = v1::SignalReply::from(&route);
            assert_eq!(Route::try_from(wire).unwrap(), route);
        }
    }
}
