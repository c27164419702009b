//! Devices that come and go while their users are in calls. Who may do what in a call is not here.

use std::time::Duration;

use super::Switchboard;
use crate::{
    Timestamp, UserId,
    call::{DeviceId, Found, Notice, Phase, Recipient, Side, Tell, Transition},
};

impl Switchboard {
    /// Notes that a device was disconnected, so long `ago`. If it is in a call, it has the grace to
    /// come back, of which no more is left than that, but at least [`Self::NOTICE`]: whoever is back
    /// has to be announced, too.
    pub fn gone(
        &mut self,
        user: &UserId,
        device: DeviceId,
        ago: Duration,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) {
        self.away(user, device, ago, now.before(ago), now, log);
    }

    /// As [`Self::gone`], for a device that is given up now and may have heard nothing since
    /// `heard_until`.
    pub fn lost(
        &mut self,
        user: &UserId,
        device: DeviceId,
        heard_until: Timestamp,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) {
        self.away(user, device, Duration::ZERO, heard_until, now, log);
    }

    fn away(
        &mut self,
        user: &UserId,
        device: DeviceId,
        ago: Duration,
        heard_until: Timestamp,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) {
        self.settle(user, now, log);
        match self.latest_mut(user) {
            Some((call, side)) if call.is_live() && call.leg(side).device == Some(device) => {
                let ago = ago.min(call.grace.saturating_sub(Self::NOTICE));
                let leg = call.leg_mut(side);
                if leg.gone_since.is_none() {
                    leg.gone_since = Some(now.before(ago));
                    leg.heard_until = Some(heard_until);
                }
            }
            _ => {
                self.parked.remove(&(user.clone(), device));
            }
        }
    }

    /// Notes that a user connected, `age` ago, and returns what the device finds: one that
    /// came since the call began with another device of the user takes that one's place if it is
    /// empty, one that is known to replace the device in it does so anyway, and one that is being
    /// called rings.
    pub fn back(
        &mut self,
        user: &UserId,
        device: DeviceId,
        replaces: Option<DeviceId>,
        age: Duration,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Found {
        self.settle(user, now, log);
        let Some((call, side)) = self.latest_mut(user) else {
            return Found::default();
        };
        let came_later = call.came_later(side, age, now.after(Self::UNDER_WAY));
        let leg = call.leg_mut(side);
        let is_empty = came_later && leg.gone_since.is_some();
        let replaced = leg.device.filter(|was| is_empty || replaces == Some(*was));
        let (mut tell, mut goes_on) = (None, None);
        if let Some(was) = replaced {
            leg.gone_since = None;
            let since = leg.heard_until.take().unwrap_or(Timestamp(i64::MIN));
            leg.device = Some(device);
            tell = call.missed(side, since);
            goes_on = call.as_heard();
            let moved = self.parked.remove(&(user.clone(), was));
            if let Some(moved) = moved {
                self.parked.insert((user.clone(), device), moved);
            }
        } else if call.phase == Phase::Ringing && side == Side::Callee {
            tell = Some(Tell::Incoming);
        }
        let Some(call) = self.latest_of(user) else {
            return Found::default();
        };
        let notice = tell.map(|tell| Notice {
            call: call.id,
            version: call.version,
            to: Recipient::Device(user.clone(), device),
            tell,
        });
        Found {
            notices: notice.into_iter().collect(),
            goes_on,
        }
    }
}
