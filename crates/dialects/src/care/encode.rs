//! Facts of the domain as the events that clients of this dialect hear.

use chat_domain::{Conversation, Message, MessageId, Presence, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use super::{MessageBody, OnlineBody, PairKey, PersonBody};
use crate::{
    Fact, ServerEvent, common,
    text::{Text, texts},
};

/// Encodes a fact as the events that tell of it.
#[must_use]
pub fn encode(fact: &Fact<'_>) -> Vec<ServerEvent> {
    vec![match *fact {
        Fact::Appended(message, conversation) => posted("new_message", message, conversation),
        Fact::Sent(message, conversation) => posted("message_sent", message, conversation),
        Fact::Received(message) => typing("typing_stopped", &message.sender),
        Fact::Typing {
            user, active: true, ..
        } => typing("typing_start", user),
        Fact::Typing { user, .. } => typing("typing_stopped", user),
        Fact::Read {
            ids, reader, at, ..
        } => messages_read(ids, reader, at),
        Fact::Delivered {
            ids,
            sender,
            reader,
            at,
            ..
        } => common::message_delivered(PairKey::new(sender, reader), ids, reader, at),
        Fact::Presence { user, presence, .. } => user_status_change(user, presence),
        Fact::Synced(synced) => {
            common::sync_result(synced, PairKey::from, PairBody::new, MessageBody::new)
        }
        Fact::Resync(heads) => common::resync(heads),
        Fact::TokenRefreshed(expires_at) => common::auth_refreshed(expires_at),
        Fact::Failed(failure) => common::failed("error", failure),
        Fact::Joined { .. } | Fact::Left { .. } | Fact::Marked { .. } => return Vec::new(),
        Fact::Introduced(_) | Fact::StatusSet(_) | Fact::Heard(_) => return Vec::new(),
    }]
}

/// A conversation of which something was missed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PairBody<'a> {
    conversation_id: Text<PairKey<'a>>,
    participants: [PersonBody<'a>; 2],
    last_seq: u64,
}

impl<'a> PairBody<'a> {
    fn new(conversation: &'a Conversation) -> Self {
        let [one, other] = &conversation.participants;
        Self {
            conversation_id: Text(conversation.into()),
            participants: [one.into(), other.into()],
            last_seq: conversation.last_seq.0,
        }
    }
}

/// A message that is new.
#[derive(Serialize, JsonSchema)]
pub(super) struct PostedBody<'a> {
    message: MessageBody<'a>,
}

fn posted(name: &'static str, message: &Message, conversation: &Conversation) -> ServerEvent {
    let message = MessageBody::new(message, conversation);
    ServerEvent::new(name, &PostedBody { message })
}

/// Who types, or does no longer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypingBody<'a> {
    user_id: &'a str,
}

fn typing(name: &'static str, user: &UserId) -> ServerEvent {
    let user_id = user.as_str();
    ServerEvent::new(name, &TypingBody { user_id })
}

/// Messages were read.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadBody<'a> {
    user_id: &'a str,
    #[serde(serialize_with = "texts")]
    #[schemars(with = "Vec<Text<MessageId>>")]
    message_ids: &'a [MessageId],
    read_at: Text<Timestamp>,
}

fn messages_read(ids: &[MessageId], reader: &UserId, at: Timestamp) -> ServerEvent {
    ServerEvent::new(
        "messages_read",
        &ReadBody {
            user_id: reader.as_str(),
            message_ids: ids,
            read_at: Text(at),
        },
    )
}

fn user_status_change(user: &UserId, presence: Presence) -> ServerEvent {
    let body = OnlineBody::new(user, presence);
    ServerEvent::new("user_status_change", &body)
}
