//! What follows from changes of calls beside telling the two: users in a call are busy, and other
//! services hear of it.

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError,
    call::{Call, Change, Outcome},
};

use crate::{
    ports::Store,
    ports_calls::Logged,
    ports_out::{OutEvent, Outgoing},
    ports_presence::PresenceState,
};

/// For how long after the ringing it is remembered that a call was pushed.
const MARGIN: Duration = Duration::from_mins(10);

/// Does that. Done twice, it says the same again.
#[derive(Clone)]
pub struct FollowUp {
    presence: Arc<dyn PresenceState>,
    store: Arc<dyn Store>,
    outgoing: Arc<dyn Outgoing>,
}

impl FollowUp {
    /// Puts it on its ports.
    #[must_use]
    pub fn new(
        presence: Arc<dyn PresenceState>,
        store: Arc<dyn Store>,
        outgoing: Arc<dyn Outgoing>,
    ) -> Self {
        Self {
            presence,
            store,
            outgoing,
        }
    }

    pub(super) async fn follow(&self, changes: &[&Logged]) -> Result<(), ChatError> {
        let mut events = Vec::new();
        for Logged { app, transition } in changes {
            let call = &transition.call;
            if transition.change == Change::Ringing {
                self.rings(app, call, &mut events).await?;
            } else if let Some(outcome) = transition.change.outcome() {
                self.is_over(app, call, outcome, &mut events).await?;
            }
            if !matches!(transition.change, Change::Ringing | Change::Moved(_)) {
                let users = [&call.caller.user, &call.callee.user];
                self.presence.look(app, &users).await?;
            }
        }
        self.outgoing.put(&events).await
    }

    async fn rings(
        &self,
        app: &AppId,
        call: &Call,
        events: &mut Vec<OutEvent>,
    ) -> Result<(), ChatError> {
        events.push(OutEvent::call_ringing(app, call));
        let ringing = call.rings_until.0.saturating_sub(call.started_at.0);
        let ttl = MARGIN + Duration::from_millis(u64::try_from(ringing).unwrap_or(0));
        let callee = &call.callee.user;
        let claimed = self.presence.claim_push(app, callee, call.id, ttl).await?;
        if claimed {
            let name = self.store.find_name(app, &call.caller.user).await?;
            events.push(OutEvent::push_call(app, call, name.as_deref()));
        }
        Ok(())
    }

    async fn is_over(
        &self,
        app: &AppId,
        call: &Call,
        outcome: Outcome,
        events: &mut Vec<OutEvent>,
    ) -> Result<(), ChatError> {
        events.push(OutEvent::call_over(app, call, outcome));
        let was_answered = call.answered_at.is_some();
        if !was_answered && self.presence.was_pushed(app, call.id).await? {
            events.push(OutEvent::push_call_cancelled(app, call, outcome));
        }
        Ok(())
    }
}
