//! Clients' events of this dialect as commands.

use chat_domain::{Place, Status, User, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Command, MarkRead, Rejection,
    common::{self, Draft},
    payload::{self, Field},
};

const SEND_FIELDS_MISSING: &str = "Receiver ID and content are required";
const RECEIVER_MISSING: &str = "Receiver ID is required";
const SENDER_MISSING: &str = "Sender ID is required";
const STATUS_MISSING: &str = "status must be available, busy or away";

type Payload<'a> = payload::Payload<Fields<'a>>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields<'a> {
    #[serde(borrow)]
    receiver_id: Field<'a>,
    sender_id: Field<'a>,
    content: Field<'a>,
    message_type: Field<'a>,
    file_url: Field<'a>,
    file_name: Field<'a>,
    attachment_id: Field<'a>,
    client_message_id: Field<'a>,
    status: Field<'a>,
}

/// Decodes the event `name` with its first argument, sent by `caller`.
///
/// `None` is an event that the dialect does not know: it is ignored.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that is no object, lacks a field, or holds one of the wrong
/// type. The client is told and its socket stays usable.
pub fn decode(
    name: &str,
    payload: Option<&RawValue>,
    caller: &User,
) -> Result<Option<Command>, Rejection> {
    let json = payload.map_or("null", RawValue::get);
    match name {
        "send_message" => send(json),
        "typing_start" => typing("typing_start", true, json),
        "typing_stop" => typing("typing_stop", false, json),
        "mark_read" => mark_read(json),
        "set_status" => set_status(json),
        "sync" => common::sync(json, |key| place(key, caller)),
        "auth:refresh" => common::refresh(json),
        _ => return Ok(None),
    }
    .map(Some)
}

fn send(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("send_message", SEND_FIELDS_MISSING, json)?;
    let fields = &payload.fields;
    let receiver = user(&payload, fields.receiver_id)?;
    let url = payload.file(fields.attachment_id, fields.file_url)?;
    let text = payload.text(fields.content)?.unwrap_or_default();
    // A file may come without a word.
    if url.is_none() && text.trim().is_empty() {
        return Err(payload.missing());
    }
    let draft = Draft {
        text,
        url,
        name: payload.text(fields.file_name)?,
        kind: payload.text(fields.message_type)?,
        client_key: payload.text(fields.client_message_id)?,
    };
    let send = draft.to(receiver.as_str().to_owned(), payload.event)?;
    Ok(Command::Send(send))
}

fn typing(event: &'static str, active: bool, json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse(event, RECEIVER_MISSING, json)?;
    let place = Place::Peer(user(&payload, payload.fields.receiver_id)?);
    Ok(Command::Typing { place, active })
}

fn mark_read(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("mark_read", SENDER_MISSING, json)?;
    let sender = user(&payload, payload.fields.sender_id)?;
    Ok(Command::MarkRead(MarkRead::From(sender)))
}

fn set_status(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("set_status", STATUS_MISSING, json)?;
    let status = payload.required(payload.fields.status)?;
    let status = Status::parse(&status).map_err(|_| payload.missing())?;
    Ok(Command::SetStatus(status))
}

fn user(payload: &Payload<'_>, field: Field<'_>) -> Result<UserId, Rejection> {
    let id = payload.required(field)?;
    UserId::new(&id).map_err(|error| Rejection::of(payload.event, &error))
}

/// Reads the id of a conversation: one of ours, or that of the pair which clients know.
fn place(key: &str, caller: &User) -> Option<Place> {
    if let Some(conversation) = common::own_id(key) {
        return Some(Place::Conversation(conversation));
    }
    let me = caller.id.as_str();
    let after = key.strip_prefix(me).and_then(|rest| rest.strip_prefix('_'));
    let before = || key.strip_suffix(me)?.strip_suffix('_');
    let peer = UserId::new(after.or_else(before)?).ok()?;
    Some(Place::Peer(peer))
}
