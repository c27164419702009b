//! Clients' events of this dialect as commands.

use chat_domain::{ConversationId, Dialect, MessageId, Place, User, UserId, call::SignalKind};
use serde_json::value::RawValue;

use super::{
    decode_calls as calls,
    payload::{FIELDS_MISSING, INVALID_DATA, Payload},
};
use crate::{
    Command, MarkRead, Rejection, Send,
    common::{self, Draft},
};

const JOIN_FIELDS_MISSING: &str = "Missing required fields: conversationId, userId, or userType";

/// Decodes the event `name` with its first argument, sent by `caller`.
///
/// `None` is an event that the dialect does not know: it is ignored.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that is no object, lacks a field, holds one of the wrong
/// type, or joins or sends as somebody else than `caller`. The client is told and its socket stays usable.
pub fn decode(
    name: &str,
    payload: Option<&RawValue>,
    caller: &User,
) -> Result<Option<Command>, Rejection> {
    let json = payload.map_or("null", RawValue::get);
    match name {
        "join_conversation" => join(json, caller),
        "leave_conversation" => leave(json),
        "send_message" => send(json, caller),
        "typing_start" => typing("typing_start", true, json),
        "typing_stop" => typing("typing_stop", false, json),
        "mark_read" => mark_read(json),
        "sync" => common::sync(json, conversation),
        "auth:refresh" => common::refresh(json),
        "call:initiate" => calls::initiate(json),
        "call:accept" => calls::accept(json),
        "call:reject" => calls::reject(json),
        "call:end" => calls::end(json),
        "webrtc:offer" => calls::signal(SignalKind::Offer, json),
        "webrtc:answer" => calls::signal(SignalKind::Answer, json),
        "webrtc:ice-candidate" => calls::signal(SignalKind::Candidate, json),
        _ => return Ok(None),
    }
    .map(Some)
}

/// Reads who the client says it is. That it is so in the role that it says is checked by [`decode`].
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload without a user.
pub fn declared(name: &str, payload: Option<&RawValue>) -> Result<Option<UserId>, Rejection> {
    if name != "join_conversation" {
        return Ok(None);
    }
    let json = payload.map_or("null", RawValue::get);
    let payload = Payload::parse_wrapped("join_conversation", JOIN_FIELDS_MISSING, json)?;
    let text = payload.required(payload.fields.user_id)?;
    let user = Dialect::Consult.user_id(&text);
    user.map(Some)
        .map_err(|error| Rejection::of(payload.event, &error))
}

fn join(json: &str, caller: &User) -> Result<Command, Rejection> {
    let payload = Payload::parse_wrapped("join_conversation", JOIN_FIELDS_MISSING, json)?;
    let user_id = payload.required(payload.fields.user_id)?;
    let user_type = payload.required(payload.fields.user_type)?;
    let conversation = payload.conversation()?;
    // UUIDs are the same in either case.
    let is_caller =
        user_id.eq_ignore_ascii_case(caller.id.as_str()) && user_type == caller.role.as_str();
    if !is_caller {
        return Err(Rejection::unauthorized(
            payload.event,
            "userId and userType must be those of the token",
        ));
    }
    let place = Place::Conversation(conversation);
    Ok(Command::Join { place })
}

fn leave(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("leave_conversation", FIELDS_MISSING, json)?;
    let conversation = payload.conversation()?;
    Ok(Command::Leave { conversation })
}

fn send(json: &str, caller: &User) -> Result<Command, Rejection> {
    let payload = Payload::parse_wrapped("send_message", FIELDS_MISSING, json)?;
    let fields = &payload.fields;
    let sender_type = payload.required(fields.sender_type)?;
    let url = payload.file(fields.attachment_id, fields.file_url)?;
    let text = match &url {
        // A file may come without a word.
        Some(_) => payload.text(fields.content)?.unwrap_or_default(),
        None => payload.required(fields.content)?,
    };
    // The id of the conversation or of its booking, in one spelling.
    let target = payload.conversation()?.to_string();
    if sender_type != caller.role.as_str() {
        return Err(Rejection::unauthorized(
            payload.event,
            "senderType must be that of the token",
        ));
    }
    let draft = Draft {
        text,
        url,
        name: payload.text(fields.file_name)?,
        kind: payload.text(fields.message_type)?,
        client_key: payload.text(fields.client_message_id)?,
    };
    let send: Send = draft.to(target, payload.event)?;
    Ok(Command::Send(send))
}

fn conversation(id: &str) -> Option<Place> {
    let id = ConversationId::parse(id).ok()?;
    Some(Place::Conversation(id))
}

/// The user is the caller, whatever the payload says.
fn typing(event: &'static str, active: bool, json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse(event, FIELDS_MISSING, json)?;
    let conversation = payload.conversation()?;
    Ok(Command::Typing {
        place: Place::Conversation(conversation),
        active,
    })
}

fn mark_read(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("mark_read", INVALID_DATA, json)?;
    let conversation = payload.conversation()?;
    let ids: Vec<String> = payload
        .value(payload.fields.message_ids)?
        .unwrap_or_default();
    let ids: Vec<MessageId> = ids
        .iter()
        .map(|id| MessageId::parse(id))
        .collect::<Result<_, _>>()
        .map_err(|_| Rejection::invalid(payload.event, INVALID_DATA))?;
    if !(1..=Command::MAX_READ_IDS).contains(&ids.len()) {
        return Err(Rejection::invalid(payload.event, INVALID_DATA));
    }
    Ok(Command::MarkRead(MarkRead::In { conversation, ids }))
}
