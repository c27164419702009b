//! Requests about calls.

use std::time::Duration;

use chat_domain::{
    AppId, ChatError, ConversationId,
    call::{
        CallId, CallKind, DeviceId, GatewayId, Heard, Notice, Party, Ringing, Route, Signal,
        Summary,
    },
};
use chat_proto::{
    WireError, WireId,
    subject::{self, Rpc},
    v1,
};

use super::{ATTEMPT, Store};
use crate::registry::UserKey;

/// How long a request is repeated whose failure a client would see: somebody waits for it to ring.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a device that connected has to be told.
#[derive(Debug)]
pub struct Arrival {
    /// What happens, or happened while the user was away.
    pub notices: Vec<(Notice, Summary)>,
    /// Missed calls, oldest first, which nobody else is told of.
    pub missed: Vec<Summary>,
    /// The call that the device is in, in place of another or of itself.
    pub goes_on: Option<Heard>,
}

impl Store {
    /// Calls the other participant of a conversation.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unauthorized`, `NotFound` or `Invalid` for who cannot be called,
    /// and one of kind `Unavailable` when nobody decides: the outcome is unknown then.
    pub async fn initiate_call(
        &self,
        app: &AppId,
        party: &Party,
        conversation: ConversationId,
        kind: CallKind,
    ) -> Result<Ringing, ChatError> {
        let request = v1::InitiateCallRequest {
            app: app.as_str().to_owned(),
            caller_id: party.user.as_str().to_owned(),
            device: party.device.to_wire(),
            callee_id: party.peer.as_str().to_owned(),
            conversation_id: conversation.to_wire(),
            kind: kind.as_str().to_owned(),
            n: party.n,
        };
        let key = subject::conversation_key(conversation);
        let reply: v1::InitiateCallReply = self
            .call(Rpc::InitiateCall, &key, &request, PATIENCE)
            .await?;
        Ok(reply.try_into()?)
    }

    /// Accepts the call that rings at the party, on its device.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `NotFound` when there is none, `Conflict` when it is over or was
    /// accepted elsewhere, `Unauthorized` for its caller, or `Unavailable`.
    pub async fn accept_call(&self, app: &AppId, party: &Party) -> Result<CallId, ChatError> {
        let request = v1::AcceptCallRequest {
            app: app.as_str().to_owned(),
            party: Some(party.into()),
        };
        let reply: v1::AcceptCallReply = self
            .call(Rpc::AcceptCall, party.user.as_str(), &request, PATIENCE)
            .await?;
        Ok(CallId::from_wire(&reply.call_id)?)
    }

    /// Declines the call that rings at the party.
    ///
    /// # Errors
    ///
    /// As [`Self::accept_call`].
    pub async fn reject_call(
        &self,
        app: &AppId,
        party: &Party,
        reason: Option<&str>,
    ) -> Result<CallId, ChatError> {
        let request = v1::RejectCallRequest {
            app: app.as_str().to_owned(),
            party: Some(party.into()),
            reason: reason.map(str::to_owned),
        };
        let reply: v1::RejectCallReply = self
            .call(Rpc::RejectCall, party.user.as_str(), &request, PATIENCE)
            .await?;
        Ok(CallId::from_wire(&reply.call_id)?)
    }

    /// Hangs up; `None` when there was nothing to end.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `NotFound` when the two have no call, or `Unavailable`.
    pub async fn end_call(&self, app: &AppId, party: &Party) -> Result<Option<CallId>, ChatError> {
        let request = v1::EndCallRequest {
            app: app.as_str().to_owned(),
            party: Some(party.into()),
        };
        let reply: v1::EndCallReply = self
            .call(Rpc::EndCall, party.user.as_str(), &request, PATIENCE)
            .await?;
        let call = reply.call_id.map(|id| CallId::from_wire(&id)).transpose()?;
        Ok(call)
    }

    /// Asks whether a signal may pass; [`Route::Relay`] is the caller's to carry out.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `TooLarge` when too many wait already, or `Unavailable`.
    pub async fn route_signal(
        &self,
        app: &AppId,
        party: &Party,
        signal: &Signal,
    ) -> Result<Route, ChatError> {
        let request = v1::SignalRequest {
            app: app.as_str().to_owned(),
            party: Some(party.into()),
            signal: Some(signal.into()),
        };
        let reply: v1::SignalReply = self
            .call(Rpc::Signal, party.user.as_str(), &request, PATIENCE)
            .await?;
        Ok(reply.try_into()?)
    }

    /// Announces that a device is here, and for how long, in place of another if that is known;
    /// `again` if that was announced before. Asks once.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unavailable`: the outcome is unknown.
    pub async fn device_back(
        &self,
        user: &UserKey,
        device: DeviceId,
        replaces: Option<DeviceId>,
        (age, again): (Duration, bool),
    ) -> Result<Arrival, ChatError> {
        let request = v1::DeviceBackRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            device: device.to_wire(),
            replaces: replaces.map(WireId::to_wire),
            again,
            age_ms: millis(age),
        };
        let reply: v1::DeviceBackReply = self
            .call(Rpc::DeviceBack, user.user.as_str(), &request, ATTEMPT)
            .await?;
        let notices = reply.notices.into_iter().map(TryFrom::try_from);
        let missed = reply.missed.into_iter().map(TryFrom::try_from);
        Ok(Arrival {
            notices: notices.collect::<Result<_, WireError>>()?,
            missed: missed.collect::<Result<_, WireError>>()?,
            goes_on: reply.goes_on.map(TryFrom::try_from).transpose()?,
        })
    }

    /// Announces that a device is here no longer, for so long `ago`. Asks once.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unavailable`: it has to be announced again.
    pub async fn device_gone(
        &self,
        user: &UserKey,
        device: DeviceId,
        ago: Duration,
    ) -> Result<(), ChatError> {
        let request = v1::DeviceGoneRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            device: device.to_wire(),
            ago_ms: millis(ago),
        };
        let v1::DeviceGoneReply {} = self
            .call(Rpc::DeviceGone, user.user.as_str(), &request, ATTEMPT)
            .await?;
        Ok(())
    }

    /// Asks what became of calls that a device believes to go on. Returns what it has to be told, and
    /// what others have to be. Asks once.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unavailable`: the device asks again later anyway.
    pub async fn check_calls(
        &self,
        user: &UserKey,
        device: DeviceId,
        calls: &[Heard],
    ) -> Result<Vec<(Notice, Summary)>, ChatError> {
        let request = v1::CheckCallsRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            device: device.to_wire(),
            calls: calls.iter().map(Into::into).collect(),
        };
        let reply: v1::CheckCallsReply = self
            .call(Rpc::CheckCalls, user.user.as_str(), &request, ATTEMPT)
            .await?;
        let notices = reply.notices.into_iter().map(TryFrom::try_from);
        Ok(notices.collect::<Result<_, WireError>>()?)
    }

    /// Notes that a device of the callee was told how a call ended. Asks once.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unavailable`: the user is told again unless it is repeated.
    pub async fn call_told(&self, user: &UserKey, call: CallId) -> Result<(), ChatError> {
        let request = v1::CallsToldRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            call_ids: vec![call.to_wire()],
        };
        let v1::CallsToldReply {} = self
            .call(Rpc::CallsTold, user.user.as_str(), &request, ATTEMPT)
            .await?;
        Ok(())
    }

    /// Says that a gateway lives. Returns whether it has to announce all its devices again: that is
    /// said in one answer alone, so it is asked once, without a second attempt.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unavailable`: the answer may have been to announce them.
    pub async fn gateway_alive(&self, gateway: GatewayId) -> Result<bool, ChatError> {
        let request = v1::GatewayAliveRequest { gateway: gateway.0 };
        let key = format!("{:x}", gateway.0);
        let reply: v1::GatewayAliveReply = self
            .call(Rpc::GatewayAlive, &key, &request, Duration::ZERO)
            .await?;
        Ok(reply.announce)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
