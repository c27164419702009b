//! Clients' events of this dialect as commands.

use chat_domain::{Place, User, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Command, MarkRead, Rejection,
    common::{self, Draft},
    payload::{self, Field},
};

const EMAIL_MISSING: &str = "Email required";
const INVALID_MESSAGE: &str = "Invalid message data";

type Payload<'a> = payload::Payload<Fields<'a>>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    email: Field<'a>,
    receiver_email: Field<'a>,
    content: Field<'a>,
    is_typing: Field<'a>,
    message_id: Field<'a>,
    message_type: Field<'a>,
    file_url: Field<'a>,
    file_name: Field<'a>,
    attachment_id: Field<'a>,
    client_message_id: Field<'a>,
    #[serde(rename = "clientMessageId")]
    client_key: Field<'a>,
}

/// Decodes the event `name` with its first argument, sent by `caller`.
///
/// `None` is an event that the dialect does not know: it is ignored.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that is no object, lacks a field, holds one of the wrong
/// type, or says to be from somebody else than `caller`. The client is told and its socket stays
/// usable.
pub fn decode(
    name: &str,
    payload: Option<&RawValue>,
    caller: &User,
) -> Result<Option<Command>, Rejection> {
    let json = payload.map_or("null", RawValue::get);
    match name {
        "user_joined" => user_joined(json, caller),
        "send_message" => send(json),
        "user_typing" => typing(json),
        "mark_message_read" => mark_read(json),
        "sync" => common::sync(json, place),
        "auth:refresh" => common::refresh(json),
        _ => return Ok(None),
    }
    .map(Some)
}

/// Reads who the client says it is.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload without an e-mail.
pub fn declared(name: &str, payload: Option<&RawValue>) -> Result<Option<UserId>, Rejection> {
    if name != "user_joined" {
        return Ok(None);
    }
    let json = payload.map_or("null", RawValue::get);
    let payload = Payload::parse("user_joined", EMAIL_MISSING, json)?;
    email(&payload, payload.fields.email).map(Some)
}

fn user_joined(json: &str, caller: &User) -> Result<Command, Rejection> {
    let payload = Payload::parse("user_joined", EMAIL_MISSING, json)?;
    if email(&payload, payload.fields.email)? != caller.id {
        let text = "email must be that of the token";
        return Err(Rejection::unauthorized(payload.event, text));
    }
    Ok(Command::Introduce)
}

fn send(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("send_message", INVALID_MESSAGE, json)?;
    let fields = &payload.fields;
    let receiver = email(&payload, fields.receiver_email)?;
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
        client_key: payload.text(fields.client_message_id.or(fields.client_key))?,
    };
    let send = draft.to(receiver.as_str().to_owned(), payload.event)?;
    Ok(Command::Send(send))
}

fn typing(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("user_typing", INVALID_MESSAGE, json)?;
    let place = Place::Peer(email(&payload, payload.fields.receiver_email)?);
    let active = payload.value(payload.fields.is_typing)?.unwrap_or_default();
    Ok(Command::Typing { place, active })
}

fn mark_read(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("mark_message_read", INVALID_MESSAGE, json)?;
    let id = payload.required(payload.fields.message_id)?;
    let ids = common::known_ids(&[id]);
    Ok(Command::MarkRead(MarkRead::Messages(ids)))
}

fn email(payload: &Payload<'_>, field: Field<'_>) -> Result<UserId, Rejection> {
    let email = payload.required(field)?;
    UserId::new(&email.trim().to_lowercase()).map_err(|_| payload.missing())
}

/// Reads the id of a conversation, or the e-mail address of the other one in it.
fn place(key: &str) -> Option<Place> {
    if let Some(conversation) = common::own_id(key) {
        return Some(Place::Conversation(conversation));
    }
    let peer = UserId::new(&key.to_lowercase()).ok()?;
    Some(Place::Peer(peer))
}
