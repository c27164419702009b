//! What gateways ask about calls.

use std::time::Duration;

use chat_domain::{
    AppId, ChatError, UserId,
    call::{CallId, CallKind, DeviceId, GatewayId, Heard, Party, Signal, Summary},
};
use chat_proto::{WireId, v1};

use super::rpc::refuse;
use crate::{
    app::{App, Member, calls::Calls},
    ports_audit::Action,
};

pub(super) async fn initiate(
    app: &App,
    request: v1::InitiateCallRequest,
) -> Result<v1::InitiateCallReply, ChatError> {
    let device = id(&request.device)?;
    let caller = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.caller_id)?,
        device: Some(device),
    };
    let conversation = id(&request.conversation_id)?;
    let calls = app.calls();
    let ringing = calls
        .initiate(
            caller,
            device,
            &UserId::new(&request.callee_id)?,
            conversation,
            CallKind::parse(&request.kind)?,
            request.n,
        )
        .await;
    let ringing = app.noting(caller, Action::Call, Some(conversation), ringing);
    Ok(ringing.await?.into())
}

/// Returns the outcome of a request about a call that there is; a refusal is logged.
async fn noted<T>(
    app: &App,
    of: &AppId,
    party: &Party,
    outcome: Result<T, ChatError>,
) -> Result<T, ChatError> {
    let member = Member {
        app: of,
        user: &party.user,
        device: Some(party.device),
    };
    app.noting(member, Action::Call, None, outcome).await
}

pub(super) async fn accept(
    app: &App,
    request: v1::AcceptCallRequest,
) -> Result<v1::AcceptCallReply, ChatError> {
    let of = AppId::new(&request.app)?;
    let party = party(request.party)?;
    let accepted = app.calls().accept(&of, &party).await;
    let call = noted(app, &of, &party, accepted).await?;
    Ok(v1::AcceptCallReply {
        call_id: call.to_wire(),
    })
}

pub(super) async fn reject(
    app: &App,
    request: v1::RejectCallRequest,
) -> Result<v1::RejectCallReply, ChatError> {
    let of = AppId::new(&request.app)?;
    let party = party(request.party)?;
    let reason = request.reason.as_deref();
    let rejected = app.calls().reject(&of, &party, reason).await;
    let call = noted(app, &of, &party, rejected).await?;
    Ok(v1::RejectCallReply {
        call_id: call.to_wire(),
    })
}

pub(super) async fn end(
    app: &App,
    request: v1::EndCallRequest,
) -> Result<v1::EndCallReply, ChatError> {
    let of = AppId::new(&request.app)?;
    let party = party(request.party)?;
    let ended = app.calls().hang_up(&of, &party).await;
    let call = noted(app, &of, &party, ended).await?;
    Ok(v1::EndCallReply {
        call_id: call.map(WireId::to_wire),
    })
}

pub(super) async fn signal(
    calls: &Calls,
    request: v1::SignalRequest,
) -> Result<v1::SignalReply, ChatError> {
    let app = AppId::new(&request.app)?;
    let signal = request.signal.ok_or(ChatError::Malformed("signal"))?;
    let signal = Signal::try_from(&signal).map_err(refuse)?;
    let route = calls.signal(&app, &party(request.party)?, &signal).await?;
    Ok((&route).into())
}

pub(super) async fn gone(
    app: &App,
    request: v1::DeviceGoneRequest,
) -> Result<v1::DeviceGoneReply, ChatError> {
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: None,
    };
    let device = id(&request.device)?;
    let ago = Duration::from_millis(request.ago_ms);
    app.calls().gone(member, device, ago).await?;
    app.roster().leave(member, device).await?;
    Ok(v1::DeviceGoneReply {})
}

pub(super) async fn back(
    app: &App,
    request: v1::DeviceBackRequest,
) -> Result<v1::DeviceBackReply, ChatError> {
    let device = id(&request.device)?;
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: Some(device),
    };
    let replaces = request
        .replaces
        .as_deref()
        .map(id::<DeviceId>)
        .transpose()?;
    if !request.again {
        app.signed_in(member).await?;
    }
    // First: missed calls are told in one answer alone, so nothing may fail after them.
    app.roster().come(member, device, request.again).await?;
    let age = Duration::from_millis(request.age_ms);
    let arrival = app.calls().back(member, device, replaces, age).await?;
    Ok(v1::DeviceBackReply {
        notices: arrival
            .notices
            .iter()
            .map(|(notice, call)| (notice, &Summary::from(call)).into())
            .collect(),
        missed: arrival
            .missed
            .iter()
            .map(|call| (&Summary::from(call)).into())
            .collect(),
        goes_on: arrival.goes_on.as_ref().map(Into::into),
    })
}

pub(super) async fn check(
    calls: &Calls,
    request: v1::CheckCallsRequest,
) -> Result<v1::CheckCallsReply, ChatError> {
    let device = id(&request.device)?;
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: Some(device),
    };
    let heard = request.calls.into_iter().map(Heard::try_from);
    let heard = heard.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    let notices = calls.check(member, device, &heard).await?;
    Ok(v1::CheckCallsReply {
        notices: notices
            .iter()
            .map(|(notice, call)| (notice, &Summary::from(call)).into())
            .collect(),
    })
}

pub(super) async fn told(
    calls: &Calls,
    request: v1::CallsToldRequest,
) -> Result<v1::CallsToldReply, ChatError> {
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: None,
    };
    let ids = request.call_ids.iter().map(|bytes| id::<CallId>(bytes));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    calls.told(member, &ids).await?;
    Ok(v1::CallsToldReply {})
}

pub(super) async fn alive(
    calls: &Calls,
    request: v1::GatewayAliveRequest,
) -> Result<v1::GatewayAliveReply, ChatError> {
    let announce = calls.alive(GatewayId(request.gateway)).await?;
    Ok(v1::GatewayAliveReply { announce })
}

fn id<T: WireId>(bytes: &[u8]) -> Result<T, ChatError> {
    T::from_wire(bytes).map_err(refuse)
}

fn party(party: Option<v1::CallParty>) -> Result<Party, ChatError> {
    let party = party.ok_or(ChatError::Malformed("party"))?;
    Party::try_from(party).map_err(refuse)
}
