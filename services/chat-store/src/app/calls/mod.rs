//! Calls between two users of a conversation.
//!
//! Requests are decided by the shared state alone ([`CallState`]); what follows
//! from a decision comes out of its log ([`Recorder`]): first the row, then the notices. Whoever
//! asked is answered when the row says so, too, so that no loss of the state takes back what
//! somebody knows. Media never passes here.

mod follow_up;
mod outcome;
mod record;
mod sweep;

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError, ConversationId, UserId,
    call::{
        Call, CallId, CallKind, DeviceId, GatewayId, Heard, Initiate, Notice, Party, Ringing,
        Route, Signal,
    },
};
use service_kit::apps::Apps;
use uuid::Uuid;

pub use follow_up::FollowUp;
pub use record::Recorder;
pub use sweep::{reconcile, sweep};

use super::Member;
use crate::{
    ports::Store,
    ports_calls::{CallHistory, CallState, Logged},
};

/// Missed calls that are told at one connect.
const MAX_MISSED: u32 = 50;

/// What a connecting device has to know of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What happens or happened while the user was away, and the call it is about.
    pub notices: Vec<(Notice, Call)>,
    /// The call that the device is in, in place of another or of itself.
    pub goes_on: Option<Heard>,
    /// The calls that the user missed and hears of for the first time, oldest first.
    pub missed: Vec<Call>,
}

/// The use cases of calls. A clone is the same.
#[derive(Clone)]
pub struct Calls {
    state: Arc<dyn CallState>,
    history: Arc<dyn CallHistory>,
    store: Arc<dyn Store>,
    apps: Arc<Apps>,
}

impl Calls {
    /// The longest reason that is kept, in characters.
    pub const MAX_REASON: usize = 200;
    /// The most calls that a device may ask about at once: as many as its gateway remembers.
    pub const MAX_HEARD: usize = 8;

    /// Puts the use cases on their ports.
    #[must_use]
    pub fn new(
        state: Arc<dyn CallState>,
        history: Arc<dyn CallHistory>,
        store: Arc<dyn Store>,
        apps: Arc<Apps>,
    ) -> Self {
        Self {
            state,
            history,
            store,
            apps,
        }
    }

    /// Calls `callee`, who must be the other participant of the conversation.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`], [`ChatError::NotParticipant`],
    /// [`ChatError::Forbidden`] for another callee, [`ChatError::Malformed`] for oneself,
    /// [`ChatError::Conflict`] when another device took the call over meanwhile, and
    /// [`ChatError::Unavailable`] while the state is.
    pub async fn initiate(
        &self,
        caller: Member<'_>,
        device: DeviceId,
        callee: &UserId,
        conversation: ConversationId,
        kind: CallKind,
        n: u64,
    ) -> Result<Ringing, ChatError> {
        if caller.user == callee {
            return Err(ChatError::Malformed("nobody can call themselves"));
        }
        let found = self
            .store
            .find_conversation(caller.app, conversation)
            .await?;
        let found = found.ok_or(ChatError::ConversationNotFound)?;
        let peer = found
            .peer_of(caller.user)
            .ok_or(ChatError::NotParticipant)?;
        if peer.user != *callee {
            return Err(ChatError::Forbidden(
                "toUserId takes no part in the conversation",
            ));
        }
        let request = Initiate {
            call: CallId(Uuid::now_v7()),
            caller: caller.user.clone(),
            device,
            callee: callee.clone(),
            conversation,
            kind,
            n,
        };
        let app = self.apps.get(caller.app);
        let rules = app.map(|app| app.policy.calls).unwrap_or_default().rules;
        let ringing = self.state.initiate(caller.app, &request, rules).await?;
        let (Ringing::New(id)
        | Ringing::Already(id)
        | Ringing::Connected(id)
        | Ringing::Merged(id)
        | Ringing::Busy(id)) = ringing;
        let call = self.keep(caller.app, id).await?;
        let leg = call.side_of(caller.user).map(|side| call.leg(side));
        if call.is_live() && leg.is_some_and(|leg| leg.device != Some(device)) {
            return Err(ChatError::Conflict("the call goes on on another device"));
        }
        Ok(ringing)
    }

    /// Writes down what was decided about a call, before anybody hears of it: then no loss of the
    /// state takes it back. Returns the call as it was written.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when that was not possible, or the decision was lost
    /// meanwhile: asking again is safe.
    async fn keep(&self, app: &AppId, id: CallId) -> Result<Call, ChatError> {
        let lost = || ChatError::Unavailable {
            dependency: "redis",
            source: "the call was lost as it changed".into(),
        };
        let transition = self.state.find_last(app, id).await?.ok_or_else(lost)?;
        let kept = [Logged {
            app: app.clone(),
            transition,
        }];
        self.history.record(&kept).await?;

        // A loss between the two brought back what the history had before.
        let known = self.state.find(app, id).await?;
        let Some(known) = known else {
            self.state.restore(&kept).await?;
            return Err(lost());
        };
        let [Logged { transition, .. }] = kept;
        if known.version < transition.call.version {
            return Err(lost());
        }
        Ok(transition.call)
    }

    /// Accepts the call that rings at the party.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::CallNotFound`] when the two have none, [`ChatError::Forbidden`] for its
    /// caller, and [`ChatError::Conflict`] when it is over or another device was faster.
    pub async fn accept(&self, app: &AppId, party: &Party) -> Result<CallId, ChatError> {
        let id = self.state.accept(app, party).await?;
        self.keep(app, id).await?;
        Ok(id)
    }

    /// Declines the call that rings at the party; of the reason, [`Self::MAX_REASON`] characters
    /// are kept, and no control characters.
    ///
    /// # Errors
    ///
    /// As [`Self::accept`].
    pub async fn reject(
        &self,
        app: &AppId,
        party: &Party,
        reason: Option<&str>,
    ) -> Result<CallId, ChatError> {
        let kept = |reason: &str| -> String {
            let visible = reason.chars().filter(|letter| !letter.is_control());
            visible.take(Self::MAX_REASON).collect()
        };
        let reason = reason.map(kept).filter(|reason| !reason.is_empty());
        let id = self
            .state
            .reject(app, party, reason.map(Into::into))
            .await?;
        self.keep(app, id).await?;
        Ok(id)
    }

    /// Hangs up, and returns the call, which is over then; `None` when the user is in it with another
    /// device that this one was there beside, and did not say which call it is.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::CallNotFound`] when the two have no call, and
    /// [`ChatError::Unavailable`] when it may go on.
    pub async fn hang_up(&self, app: &AppId, party: &Party) -> Result<Option<CallId>, ChatError> {
        let ended = self.state.hang_up(app, party).await?;
        if let Some(id) = ended {
            self.keep(app, id).await?;
        }
        Ok(ended)
    }

    /// Decides about a signal; [`Route::Relay`] is the asking gateway's to carry out.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] when too many wait already.
    pub async fn signal(
        &self,
        app: &AppId,
        party: &Party,
        signal: &Signal,
    ) -> Result<Route, ChatError> {
        self.state.signal(app, party, signal).await
    }

    /// Notes that a device was disconnected, so long `ago`.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the state is.
    pub async fn gone(
        &self,
        member: Member<'_>,
        device: DeviceId,
        ago: Duration,
    ) -> Result<(), ChatError> {
        self.state.gone(member.app, member.user, device, ago).await
    }

    /// Notes that a device connected, `age` ago, in place of another if that is known, and returns
    /// what it has to be told. Missed calls are told once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the state or the history is.
    pub async fn back(
        &self,
        member: Member<'_>,
        device: DeviceId,
        replaces: Option<DeviceId>,
        age: Duration,
    ) -> Result<Arrival, ChatError> {
        let Member { app, user, .. } = member;
        let mut notices = Vec::new();
        let found = self.state.back(app, user, device, replaces, age).await?;
        for notice in found.notices {
            if let Some(call) = self.state.find(app, notice.call).await? {
                notices.push((notice, call));
            }
        }
        Ok(Arrival {
            notices,
            goes_on: found.goes_on,
            missed: self.history.claim_missed(app, user, MAX_MISSED).await?,
        })
    }

    /// Returns what has to be told, to `device` or to others, when it believes of these calls that
    /// they go on. Other people's calls are passed over.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] for more than [`Self::MAX_HEARD`], and
    /// [`ChatError::Unavailable`] while the state or the history is.
    pub async fn check(
        &self,
        member: Member<'_>,
        device: DeviceId,
        calls: &[Heard],
    ) -> Result<Vec<(Notice, Call)>, ChatError> {
        if Self::MAX_HEARD < calls.len() {
            return Err(ChatError::TooLarge("the list of calls"));
        }
        let mut notices = Vec::new();
        for heard in calls {
            let Some(call) = self.what_became(member, heard).await? else {
                continue;
            };
            let side = call.side_of(member.user);
            let notice = side.and_then(|side| call.retell(side, device, heard));
            notices.extend(notice.map(|notice| (notice, call)));
        }
        Ok(notices)
    }

    /// Returns a call of the member as it may be told: as its row has it, which no loss of the state
    /// takes back, with the devices that are in it now. `None` when there is nothing to tell, or
    /// nobody can say yet.
    async fn what_became(
        &self,
        member: Member<'_>,
        heard: &Heard,
    ) -> Result<Option<Call>, ChatError> {
        let row = self.history.find_call(member.app, heard.call).await?;
        let Some(row) = row.filter(|row| row.side_of(member.user).is_some()) else {
            return Ok(None);
        };
        if !row.is_live() {
            return Ok(Some(row));
        }
        if heard.is_connected {
            return Ok(None);
        }
        let known = self.state.find(member.app, heard.call).await?;
        Ok(known.filter(|known| known.phase == row.phase))
    }

    /// Notes that a device of `member` was told how calls to it ended: they need no telling later.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the history is.
    pub async fn told(&self, member: Member<'_>, calls: &[CallId]) -> Result<(), ChatError> {
        self.history.mark_told(member.app, member.user, calls).await
    }

    /// Notes that a gateway lives; it says so every three seconds. Returns whether it has to announce
    /// its devices.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the state is.
    pub async fn alive(&self, gateway: GatewayId) -> Result<bool, ChatError> {
        self.state.alive(gateway).await
    }

    /// Returns the member's calls before one, newest first.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the history is.
    pub async fn list(
        &self,
        member: Member<'_>,
        before: Option<CallId>,
        limit: u32,
    ) -> Result<Vec<Call>, ChatError> {
        let Member { app, user, .. } = member;
        self.history.list_calls(app, user, before, limit).await
    }

    /// Returns a call of the member.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::CallNotFound`], also for a call of others.
    pub async fn find(&self, member: Member<'_>, id: CallId) -> Result<Call, ChatError> {
        let call = self.history.find_call(member.app, id).await?;
        call.filter(|call| call.side_of(member.user).is_some())
            .ok_or(ChatError::CallNotFound)
    }
}
