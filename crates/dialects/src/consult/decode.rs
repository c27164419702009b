//! Clients' events of this dialect as commands.

use std::collections::BTreeMap;

use chat_domain::{
    Attachment, ChatError, ClientKey, ConversationId, MessageId, MessageKind, Seq, User,
    call::SignalKind,
};
use serde_json::value::RawValue;

use super::{
    decode_calls as calls,
    payload::{FIELDS_MISSING, INVALID_DATA, Payload},
};
use crate::{Command, Rejection, Send};

const JOIN_FIELDS_MISSING: &str = "Missing required fields: conversationId, userId, or userType";
/// What a bigint holds: no sequence comes near it.
const MAX_SEQ: u64 = i64::MAX.unsigned_abs();

/// Decodes the event `name` with its first argument, sent by `caller`.
///
/// `None` is an event that the dialect does not know: it is ignored.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that is no object, lacks a field, holds one of the wrong
/// type, or joins or sends as somebody else than `caller`. The client gets [`super::rejected`] and
/// its socket stays usable.
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
        "sync" => sync(json),
        "auth:refresh" => refresh(json),
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
    Ok(Command::Join { conversation })
}

fn leave(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("leave_conversation", FIELDS_MISSING, json)?;
    let conversation = payload.conversation()?;
    Ok(Command::Leave { conversation })
}

fn send(json: &str, caller: &User) -> Result<Command, Rejection> {
    let payload = Payload::parse_wrapped("send_message", FIELDS_MISSING, json)?;
    let fields = &payload.fields;
    let reject = |error: ChatError| Rejection::of(payload.event, &error);

    let sender_type = payload.required(fields.sender_type)?;
    let url = payload.text(fields.file_url)?;
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

    let name = payload.text(fields.file_name)?;
    let attachment = url
        .map(|url| Attachment::new(&url, name.as_deref()))
        .transpose()
        .map_err(reject)?;
    let kind = match payload.text(fields.message_type)? {
        Some(kind) => MessageKind::parse(&kind).map_err(reject)?,
        None if attachment.is_some() => MessageKind::File,
        None => MessageKind::Text,
    };
    let client_key = payload
        .text(fields.client_message_id)?
        .map(|key| ClientKey::new(&key))
        .transpose()
        .map_err(reject)?;

    Ok(Command::Send(Send {
        target,
        kind,
        text,
        attachment,
        client_key,
    }))
}

/// The user is the caller, whatever the payload says.
fn typing(event: &'static str, active: bool, json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse(event, FIELDS_MISSING, json)?;
    let conversation = payload.conversation()?;
    Ok(Command::Typing {
        conversation,
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
    Ok(Command::MarkRead { conversation, ids })
}

fn sync(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("sync", INVALID_DATA, json)?;
    let since: BTreeMap<String, u64> = payload.value(payload.fields.since)?.unwrap_or_default();
    if !(1..=Command::MAX_SYNCED).contains(&since.len()) {
        return Err(Rejection::invalid(payload.event, INVALID_DATA));
    }
    let since = since
        .into_iter()
        .map(|(id, seq)| match ConversationId::parse(&id) {
            Ok(id) if seq <= MAX_SEQ => Ok((id, Seq(seq))),
            _ => Err(Rejection::invalid(payload.event, INVALID_DATA)),
        })
        .collect::<Result<_, _>>()?;
    Ok(Command::Sync { since })
}

fn refresh(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("auth:refresh", FIELDS_MISSING, json)?;
    let token = payload.required(payload.fields.token)?;
    Ok(Command::RefreshToken { token })
}
