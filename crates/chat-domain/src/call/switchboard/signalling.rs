//! Who may signal to whom: nothing passes before a device accepts, and then only between the two.

use super::{Party, Switchboard};
use crate::{
    ChatError, Timestamp,
    call::{CallId, Handed, Parked, Phase, Route, Side, Signal, SignalKind, Transition},
};

impl Switchboard {
    /// Decides whether a signal of the party may pass to its peer now; parks it if it may later. One
    /// that names a call is for that call alone.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] when too many wait already.
    pub fn signal(
        &mut self,
        party: &Party,
        signal: Signal,
        now: Timestamp,
        log: &mut Vec<Transition>,
    ) -> Result<Route, ChatError> {
        self.settle(&party.user, now, log);
        let named = |id| self.call_of(&party.user).is_some_and(|call| call.id == id);
        if !party.call.is_none_or(named) {
            return Ok(Route::Dropped);
        }
        let slot = (party.user.clone(), party.device);
        let Some((call, side)) = self.latest_mut(&party.user) else {
            return self.park_early(party, signal, now, false);
        };
        let with_peer = call.leg(side.other()).user == party.peer;
        let in_call = call.leg(side).device == Some(party.device);
        match call.phase {
            Phase::Over(_) => self.park_early(party, signal, now, with_peer),
            _ if !with_peer => Ok(Route::Dropped),
            Phase::Ringing => {
                // What the callee wanted to tell before it was called was meant for another call.
                let since = match side {
                    Side::Caller => Timestamp(i64::MIN),
                    Side::Callee => call.started_at,
                };
                self.park(party, signal, now, |parked| since <= parked.since)
            }
            Phase::Connected if !in_call => Ok(Route::Dropped),
            Phase::Connected => {
                let (id, device) = (call.id, call.leg(side.other()).device);
                if side == Side::Callee && call.awaits_answer {
                    match signal.kind() {
                        SignalKind::Offer => return Ok(Route::Dropped),
                        SignalKind::Answer => call.awaits_answer = false,
                        SignalKind::Candidate => {}
                    }
                }
                if let Some(parked) = self.parked.get_mut(&slot) {
                    parked.queue(signal)?;
                    return Ok(Route::Parked);
                }
                let Some((device, leg)) =
                    device.zip(self.calls.get_mut(&id).map(|call| call.leg_mut(side)))
                else {
                    return Ok(Route::Dropped);
                };
                leg.n_signals += 1;
                Ok(Route::Relay {
                    call: id,
                    to: (party.peer.clone(), device),
                    place: leg.n_signals,
                })
            }
        }
    }

    /// Returns what waits on one side of a connected call and may pass now.
    #[must_use]
    pub fn waiting(&self, id: CallId, side: Side) -> Option<Handed> {
        let call = self
            .call(id)
            .filter(|call| call.phase == Phase::Connected)?;
        let (from, to) = (call.leg(side), call.leg(side.other()));
        let parked = self.parked.get(&(from.user.clone(), from.device?))?;
        Some(Handed {
            call: id,
            from: from.user.clone(),
            to: (to.user.clone(), to.device?),
            first: from.n_signals + 1,
            signals: parked.signals(),
        })
    }

    /// Notes that what waited was passed on; what comes after it then passes at once.
    pub fn handed(&mut self, handed: &Handed) {
        let Some(call) = self.calls.get_mut(&handed.call) else {
            return;
        };
        let Some(side) = call.side_of(&handed.from) else {
            return;
        };
        let leg = call.leg_mut(side);
        let (Some(device), true) = (leg.device, leg.n_signals + 1 == handed.first) else {
            return;
        };
        let slot = (leg.user.clone(), device);
        let Some(parked) = self.parked.get_mut(&slot) else {
            return;
        };
        leg.n_signals += handed.signals.len() as u64;
        parked.drop_first(handed.signals.len());
        if parked.is_empty() {
            self.parked.remove(&slot);
        }
    }

    /// Without a call: what follows a call with the same peer belongs to that, unless an offer
    /// begins something new.
    fn park_early(
        &mut self,
        party: &Party,
        signal: Signal,
        now: Timestamp,
        after_call: bool,
    ) -> Result<Route, ChatError> {
        let slot = (party.user.clone(), party.device);
        let fresh = |parked: &Parked| now < parked.since.after(Parked::EARLY);
        let offered = self
            .parked
            .get(&slot)
            .is_some_and(|parked| parked.to == party.peer && fresh(parked) && parked.has_offer());
        if after_call && signal.kind() != SignalKind::Offer && !offered {
            return Ok(Route::Dropped);
        }
        self.park(party, signal, now, fresh)
    }

    /// Parks a signal with those before it that `keep` their worth.
    fn park(
        &mut self,
        party: &Party,
        signal: Signal,
        now: Timestamp,
        keep: impl Fn(&Parked) -> bool,
    ) -> Result<Route, ChatError> {
        let parked = self
            .parked
            .entry((party.user.clone(), party.device))
            .or_insert_with(|| Parked::new(party.peer.clone(), now));
        if parked.to != party.peer || !keep(parked) {
            *parked = Parked::new(party.peer.clone(), now);
        }
        parked.park(signal)?;
        Ok(Route::Parked)
    }
}
