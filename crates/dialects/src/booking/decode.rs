//! Clients' events of this dialect as commands.

use chat_domain::{Place, SubjectId, User};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Command, MarkRead, Rejection,
    common::{self, Draft},
    payload::{self, Field, INVALID_DATA},
};

const BOOKING_MISSING: &str = "bookingId is required";
const SEND_FIELDS_MISSING: &str = "bookingId and content are required";
const IDS_MISSING: &str = "messageIds array is required";
const OTHER_SENDER: &str = "senderType does not match the authenticated user";

type Payload<'a> = payload::Payload<Fields<'a>>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields<'a> {
    #[serde(borrow)]
    booking_id: Field<'a>,
    content: Field<'a>,
    sender_type: Field<'a>,
    message_ids: Field<'a>,
    message_type: Field<'a>,
    file_url: Field<'a>,
    file_name: Field<'a>,
    attachment_id: Field<'a>,
    client_message_id: Field<'a>,
}

/// Decodes the event `name` with its first argument, sent by `caller`.
///
/// `None` is an event that the dialect does not know: it is ignored.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that lacks something, holds something of the wrong type, or
/// says to be from somebody else than `caller`. The client is told and its socket stays usable.
pub fn decode(
    name: &str,
    payload: Option<&RawValue>,
    caller: &User,
) -> Result<Option<Command>, Rejection> {
    let json = payload.map_or("null", RawValue::get);
    match name {
        "joinBooking" => join(json),
        "sendMessage" => send(json, caller),
        "markAsRead" => mark_read(json),
        "sync" => common::sync(json, place),
        "auth:refresh" => common::refresh(json),
        _ => return Ok(None),
    }
    .map(Some)
}

/// The argument is the bare id.
fn join(json: &str) -> Result<Command, Rejection> {
    let event = "joinBooking";
    let id: Option<String> = serde_json::from_str(json).ok();
    let booking = id.and_then(|id| SubjectId::new(&id).ok());
    let booking = booking.ok_or_else(|| Rejection::invalid(event, BOOKING_MISSING))?;
    let place = Place::Booking(booking);
    Ok(Command::Join { place })
}

fn send(json: &str, caller: &User) -> Result<Command, Rejection> {
    let payload = Payload::parse("sendMessage", SEND_FIELDS_MISSING, json)?;
    let fields = &payload.fields;
    let booking = payload.required(fields.booking_id)?;
    let booking = SubjectId::new(&booking).map_err(|_| payload.missing())?;
    let url = payload.file(fields.attachment_id, fields.file_url)?;
    let text = payload.text(fields.content)?.unwrap_or_default();
    // A file may come without a word.
    if url.is_none() && text.trim().is_empty() {
        return Err(payload.missing());
    }
    let sender_type = payload.text(fields.sender_type)?;
    if sender_type.is_some_and(|sender_type| sender_type != caller.role.as_str()) {
        return Err(Rejection::unauthorized(payload.event, OTHER_SENDER));
    }
    let draft = Draft {
        text,
        url,
        name: payload.text(fields.file_name)?,
        kind: payload.text(fields.message_type)?,
        client_key: payload.text(fields.client_message_id)?,
    };
    let send = draft.to(booking.as_str().to_owned(), payload.event)?;
    Ok(Command::Send(send))
}

fn mark_read(json: &str) -> Result<Command, Rejection> {
    let payload = Payload::parse("markAsRead", IDS_MISSING, json)?;
    let ids: Option<Vec<String>> = payload.value(payload.fields.message_ids)?;
    let ids = ids.filter(|ids| !ids.is_empty());
    let ids = ids.ok_or_else(|| payload.missing())?;
    if Command::MAX_READ_IDS < ids.len() {
        return Err(Rejection::invalid(payload.event, INVALID_DATA));
    }
    let ids = common::known_ids(&ids);
    Ok(Command::MarkRead(MarkRead::Messages(ids)))
}

/// Reads the id of a conversation, or that of its booking.
fn place(key: &str) -> Option<Place> {
    if let Some(conversation) = common::own_id(key) {
        return Some(Place::Conversation(conversation));
    }
    let booking = SubjectId::new(key).ok()?;
    Some(Place::Booking(booking))
}
