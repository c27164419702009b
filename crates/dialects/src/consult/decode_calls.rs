//! Clients' events about calls as commands. What they signal stays the text it is.

use chat_domain::{
    UserId,
    call::{CallId, CallKind, Signal, SignalKind},
};
use uuid::Uuid;

use super::payload::{FIELDS_MISSING, INVALID_DATA, Payload};
use crate::{CallAction, CallCommand, Command, Rejection, payload::Field};

pub(super) fn initiate(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("call:initiate", FIELDS_MISSING, json)?;
    let kind = payload.required(payload.fields.call_type)?;
    let kind = CallKind::parse(&kind)
        .map_err(|_| Rejection::invalid(payload.event, "callType must be audio or video"))?;
    let conversation = payload.conversation()?;
    command(&payload, CallAction::Initiate { conversation, kind })
}

pub(super) fn accept(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("call:accept", FIELDS_MISSING, json)?;
    command(&payload, CallAction::Accept)
}

pub(super) fn reject(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("call:reject", FIELDS_MISSING, json)?;
    let reason = payload.text(payload.fields.reason)?;
    if reason.as_ref().is_some_and(|reason| reason.contains('\0')) {
        return Err(Rejection::invalid(
            payload.event,
            "reason must not contain a NUL character",
        ));
    }
    command(&payload, CallAction::Reject { reason })
}

pub(super) fn end(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("call:end", FIELDS_MISSING, json)?;
    command(&payload, CallAction::End)
}

pub(super) fn signal(kind: SignalKind, json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse(signal_name(kind), FIELDS_MISSING, json)?;
    let field: Field<'_> = match kind {
        SignalKind::Offer => payload.fields.offer,
        SignalKind::Answer => payload.fields.answer,
        SignalKind::Candidate => payload.fields.candidate,
    };
    let text = field
        .ok_or_else(|| Rejection::invalid(payload.event, FIELDS_MISSING))?
        .get();
    if !text.starts_with('{') {
        return Err(Rejection::invalid(payload.event, INVALID_DATA));
    }
    let signal = Signal::new(kind, text).map_err(|error| Rejection::of(payload.event, &error))?;
    command(&payload, CallAction::Signal(signal))
}

/// Returns the name of the event that asks for something.
pub(super) const fn name(action: &CallAction) -> &'static str {
    match action {
        CallAction::Initiate { .. } => "call:initiate",
        CallAction::Accept => "call:accept",
        CallAction::Reject { .. } => "call:reject",
        CallAction::End => "call:end",
        CallAction::Signal(signal) => signal_name(signal.kind()),
    }
}

/// Returns the name under which a signal is sent and passed on.
pub(super) const fn signal_name(kind: SignalKind) -> &'static str {
    match kind {
        SignalKind::Offer => "webrtc:offer",
        SignalKind::Answer => "webrtc:answer",
        SignalKind::Candidate => "webrtc:ice-candidate",
    }
}

fn command(payload: &Payload<'_>, action: CallAction) -> Result<Command, Rejection> {
    let no_uuid = |message| Rejection::invalid(payload.event, message);
    let peer = uuid(&payload.required(payload.fields.to_user_id)?)
        .and_then(|id| UserId::new(&id.to_string()).ok())
        .ok_or_else(|| no_uuid("toUserId must be a UUID"))?;
    let call = payload
        .text(payload.fields.call_id)?
        .map(|text| {
            uuid(&text)
                .map(CallId)
                .ok_or_else(|| no_uuid("callId must be a UUID"))
        })
        .transpose()?;
    Ok(Command::Call(CallCommand { peer, call, action }))
}

/// Reads the hyphenated form, which is the same in either case.
fn uuid(text: &str) -> Option<Uuid> {
    // `Uuid` also takes braces, URNs and the form without hyphens; the wire does not.
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}
