//! Facts of the domain as the events that clients of this dialect hear, and as acknowledgements.

use chat_domain::{Conversation, ConversationId, MessageId, Place};
use schemars::JsonSchema;
use serde::Serialize;

use super::{MessageBody, body::booking_of};
use crate::{
    Fact, Failure, ServerEvent, common,
    event::json,
    text::{Text, texts},
};

/// Encodes a fact as the events that tell of it.
#[must_use]
pub fn encode(fact: &Fact<'_>) -> Vec<ServerEvent> {
    vec![match *fact {
        Fact::Joined { place, .. } => joined_booking(place),
        Fact::Appended(message, conversation) => {
            ServerEvent::new("newMessage", &MessageBody::new(message, conversation))
        }
        Fact::Marked { ids } | Fact::Read { ids, .. } => marked_as_read(ids),
        Fact::Delivered {
            conversation,
            ids,
            reader,
            at,
            ..
        } => common::message_delivered(conversation, ids, reader, at),
        Fact::Synced(synced) => {
            common::sync_result(synced, common::id, BookedBody::new, MessageBody::new)
        }
        Fact::Resync(heads) => common::resync(heads),
        Fact::TokenRefreshed(expires_at) => common::auth_refreshed(expires_at),
        // Clients listen to one or the other.
        Fact::Failed(failure) => {
            return ["error", "socketError"]
                .map(|name| common::failed(name, failure))
                .into();
        }
        Fact::Sent(..) | Fact::Received(_) | Fact::StatusSet(_) | Fact::Heard(_) => {
            return Vec::new();
        }
        Fact::Typing { .. } | Fact::Presence { .. } => return Vec::new(),
        Fact::Left { .. } | Fact::Introduced(_) => return Vec::new(),
    }]
}

/// The acknowledgement of a message that is stored.
#[derive(Serialize, JsonSchema)]
pub(super) struct SentAck<'a> {
    ok: bool,
    message: MessageBody<'a>,
}

/// The acknowledgement of an event that failed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FailedAck<'a> {
    ok: bool,
    message: &'a str,
    code: &'a str,
}

/// Encodes what the acknowledgement of an event says; `events` are those that answer it.
#[must_use]
pub fn ack(fact: &Fact<'_>, events: &[ServerEvent]) -> String {
    if let Fact::Sent(message, conversation) = *fact {
        let message = MessageBody::new(message, conversation);
        return json(&SentAck { ok: true, message });
    }
    if let Fact::Failed(Failure { message, code, .. }) = fact {
        let failed = FailedAck {
            ok: false,
            message,
            code,
        };
        return json(&failed);
    }
    match events.first().map(|event| &event.json) {
        // It says so already.
        Some(json) if matches!(fact, Fact::Joined { .. }) => json.clone(),
        Some(json) => format!(r#"{{"ok":true,{}"#, json.get(1..).unwrap_or_default()),
        None => r#"{"ok":true}"#.to_owned(),
    }
}

/// A conversation of which something was missed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookedBody<'a> {
    id: Text<ConversationId>,
    booking: Option<&'a str>,
    last_seq: u64,
}

impl<'a> BookedBody<'a> {
    fn new(conversation: &'a Conversation) -> Self {
        Self {
            id: Text(conversation.id),
            booking: booking_of(conversation),
            last_seq: conversation.last_seq.0,
        }
    }
}

/// A socket entered the room of a booking.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinedBody<'a> {
    ok: bool,
    booking_id: &'a str,
}

fn joined_booking(place: &Place) -> ServerEvent {
    let booking_id = match place {
        Place::Booking(id) => id.as_str(),
        Place::Conversation(_) | Place::Peer(_) => "",
    };
    ServerEvent::new(
        "joinedBooking",
        &JoinedBody {
            ok: true,
            booking_id,
        },
    )
}

/// Messages that were marked.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadBody<'a> {
    #[serde(serialize_with = "texts")]
    #[schemars(with = "Vec<Text<MessageId>>")]
    message_ids: &'a [MessageId],
}

fn marked_as_read(ids: &[MessageId]) -> ServerEvent {
    ServerEvent::new("messagesMarkedAsRead", &ReadBody { message_ids: ids })
}
