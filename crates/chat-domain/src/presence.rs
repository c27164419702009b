//! Presence: whether a user is there, as others are told.
//!
//! [`Attendance`] holds the rules: how the devices of a user become one state, when leaving counts,
//! and how often a change is told. It is the specification that the shared state of presence is
//! held to. Who may know is not decided here.

use std::{collections::BTreeSet, time::Duration};

use crate::{ChatError, Timestamp, call::DeviceId};

/// What users say of themselves. The later of two counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the contract's words")]
pub enum Status {
    #[default]
    Available,
    Away,
    Busy,
}

impl Status {
    /// Returns the status as the wire spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Away => "away",
            Self::Busy => "busy",
        }
    }

    /// Parses the wire's spelling.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        match text {
            "available" => Ok(Self::Available),
            "away" => Ok(Self::Away),
            "busy" => Ok(Self::Busy),
            _ => Err(ChatError::Malformed(
                "status must be available, busy or away",
            )),
        }
    }
}

/// What others see of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Not there, or nobody may know, or nobody knows.
    #[default]
    Offline,
    /// Connected with at least one device.
    Online(Status),
}

impl Presence {
    /// Tells whether the user is there.
    #[must_use]
    pub const fn is_online(self) -> bool {
        matches!(self, Self::Online(_))
    }

    /// Returns the word for it: a status, or `offline`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Online(status) => status.as_str(),
        }
    }

    /// Parses that word.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        match text {
            "offline" => Ok(Self::Offline),
            status => Status::parse(status).map(Self::Online),
        }
    }
}

/// A change that is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceChange {
    /// What others were told before.
    pub was: Presence,
    /// What they are told now.
    pub now: Presence,
    /// Since when. Grows with each change of a user: what is not later is old.
    pub at: Timestamp,
}

/// The devices and the status of one user, and what others were told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attendance {
    devices: BTreeSet<DeviceId>,
    chosen: Status,
    /// `None` while nobody knows what others were told: nothing is known yet, or it was lost.
    told: Option<(Presence, Timestamp)>,
    left_at: Option<Timestamp>,
}

impl Attendance {
    /// How long a user without a device is not told to be gone: it may be on its way back.
    pub const GRACE: Duration = Duration::from_secs(8);
    /// The time between two changes that are told.
    pub const PACE: Duration = Duration::from_secs(2);
    /// For how long a user who is gone is remembered, with the status it chose.
    pub const MEMORY: Duration = Duration::from_hours(7 * 24);

    /// Notes a device. `again`: it was here before, so others were told already.
    pub fn come(
        &mut self,
        device: DeviceId,
        again: bool,
        in_call: bool,
        now: Timestamp,
    ) -> Option<PresenceChange> {
        self.devices.insert(device);
        self.left_at = None;
        if self.told.is_none() && again {
            self.told = Some((self.wanted(in_call, now), now));
        }
        self.settle(in_call, now)
    }

    /// Notes that a device is gone.
    pub fn gone(
        &mut self,
        device: DeviceId,
        in_call: bool,
        now: Timestamp,
    ) -> Option<PresenceChange> {
        self.devices.remove(&device);
        if self.devices.is_empty() {
            self.left_at.get_or_insert(now);
            // It was here, so others believe that it is.
            self.told
                .get_or_insert((Presence::Online(self.chosen), now));
        }
        self.settle(in_call, now)
    }

    /// Notes what the user says of itself, on whatever device.
    pub fn choose(
        &mut self,
        status: Status,
        in_call: bool,
        now: Timestamp,
    ) -> Option<PresenceChange> {
        self.chosen = status;
        if self.devices.is_empty() {
            self.left_at.get_or_insert(now);
        }
        self.settle(in_call, now)
    }

    /// Returns the change that is to be told by now, if there is one.
    pub fn settle(&mut self, in_call: bool, now: Timestamp) -> Option<PresenceChange> {
        let (was, told_at) = *self.told.get_or_insert((Presence::Offline, Timestamp(0)));
        let wanted = self.wanted(in_call, now);
        // A clock that went back must not hold up anything.
        let is_early = (told_at..told_at.after(Self::PACE)).contains(&now);
        if wanted == was || is_early {
            return None;
        }
        let at = now.max(told_at.after(Duration::from_millis(1)));
        self.told = Some((wanted, at));
        Some(PresenceChange {
            was,
            now: wanted,
            at,
        })
    }

    /// Returns what others were told.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.told.map(|(presence, _)| presence).unwrap_or_default()
    }

    /// Tells whether there is a device.
    #[must_use]
    pub fn has_device(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Returns what others should be told.
    fn wanted(&self, in_call: bool, now: Timestamp) -> Presence {
        if self.has_device() {
            let of_call = if in_call {
                Status::Busy
            } else {
                Status::Available
            };
            return Presence::Online(self.chosen.max(of_call));
        }
        match self.left_at {
            Some(left_at) if now < left_at.after(Self::GRACE) => self.presence(),
            _ => Presence::Offline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::GatewayId;

    const AVAILABLE: Presence = Presence::Online(Status::Available);
    const AWAY: Presence = Presence::Online(Status::Away);
    const BUSY: Presence = Presence::Online(Status::Busy);

    fn device(gateway: u64) -> DeviceId {
        DeviceId {
            gateway: GatewayId(gateway),
            socket: 1,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + seconds * 1_000)
    }

    /// A user who is online since second 0 with one device.
    fn online() -> Attendance {
        let mut user = Attendance::default();
        let change = user.come(device(1), false, false, at(0)).unwrap();
        assert_eq!((change.was, change.now), (Presence::Offline, AVAILABLE));
        user
    }

    #[test]
    fn a_user_is_there_until_the_last_device_is_gone_for_the_grace() {
        let mut user = online();

        assert_eq!(user.come(device(2), false, false, at(10)), None);
        assert_eq!(user.gone(device(1), false, at(20)), None);
        assert_eq!(user.settle(false, at(100)), None);
        assert_eq!(user.gone(device(2), false, at(100)), None);
        assert_eq!(user.settle(false, at(107)), None);

        let change = user.settle(false, at(108)).unwrap();
        assert_eq!((change.was, change.now), (AVAILABLE, Presence::Offline));
        assert_eq!(user.settle(false, at(200)), None);
    }

    #[test]
    fn who_comes_back_in_time_was_never_away() {
        let mut user = online();

        assert_eq!(user.gone(device(1), false, at(10)), None);
        assert_eq!(user.come(device(2), false, false, at(17)), None);

        assert_eq!(user.settle(false, at(100)), None);
        assert_eq!(user.presence(), AVAILABLE);
    }

    #[test]
    fn hearing_twice_that_a_device_is_gone_does_not_lengthen_the_grace() {
        let mut user = online();

        assert_eq!(user.gone(device(1), false, at(10)), None);
        assert_eq!(user.gone(device(1), false, at(17)), None);

        assert_eq!(user.settle(false, at(18)).unwrap().now, Presence::Offline);
    }

    #[test]
    fn busy_counts_more_than_away_and_away_more_than_available() {
        for (chosen, in_call, expected) in [
            (Status::Available, false, AVAILABLE),
            (Status::Away, false, AWAY),
            (Status::Busy, false, BUSY),
            (Status::Available, true, BUSY),
            (Status::Away, true, BUSY),
        ] {
            let mut user = online();
            user.choose(chosen, in_call, at(10));
            assert_eq!(user.presence(), expected, "{chosen:?} {in_call}");
        }
    }

    #[test]
    fn changes_are_told_two_seconds_apart_and_only_when_something_changed() {
        let mut user = online();

        assert_eq!(user.choose(Status::Away, false, at(1)), None);
        assert_eq!(user.choose(Status::Busy, false, at(1)), None);
        assert_eq!(user.settle(false, at(2)).unwrap().now, BUSY);
        assert_eq!(user.choose(Status::Away, false, at(3)), None);
        assert_eq!(user.choose(Status::Busy, false, at(3)), None);
        assert_eq!(user.settle(false, at(10)), None);
    }

    #[test]
    fn a_status_outlives_connections_and_is_nobodys_business_meanwhile() {
        let mut user = online();
        user.choose(Status::Away, false, at(10));
        user.gone(device(1), false, at(20));
        user.settle(false, at(30));

        assert_eq!(user.choose(Status::Busy, false, at(40)), None);

        assert_eq!(user.presence(), Presence::Offline);
        assert_eq!(
            user.come(device(2), false, false, at(50)).unwrap().now,
            BUSY
        );
    }

    #[test]
    fn nothing_is_told_of_a_user_who_was_there_when_the_memory_was_lost() {
        let mut user = Attendance::default();

        assert_eq!(user.come(device(1), true, false, at(0)), None);

        assert_eq!(user.presence(), AVAILABLE);
        assert_eq!(user.settle(false, at(100)), None);
    }

    #[test]
    fn who_left_when_the_memory_was_lost_is_told_to_be_gone_after_the_grace() {
        let mut user = Attendance::default();

        assert_eq!(user.gone(device(1), false, at(0)), None);

        assert_eq!(user.settle(false, at(8)).unwrap().now, Presence::Offline);
    }

    #[test]
    fn times_of_changes_grow_whatever_the_clock_does() {
        let mut user = online();
        let first = user.settle(true, at(10)).unwrap();

        let second = user.settle(false, at(5)).unwrap();

        assert!(first.at < second.at);
    }

    #[test]
    fn words_survive_the_wire() {
        for presence in [Presence::Offline, AVAILABLE, AWAY, BUSY] {
            assert_eq!(Presence::parse(presence.as_str()).unwrap(), presence);
        }
        assert!(Presence::parse("online").is_err());
        assert!(Status::parse("offline").is_err());
    }
}
