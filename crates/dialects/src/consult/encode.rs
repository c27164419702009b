//! Facts of the domain as the events that clients of this dialect hear.

use chat_domain::{Conversation, ConversationId, Message, MessageId, Role, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ConversationBody, MessageBody, PostedBody, presence_changed};
use crate::{
    Fact, ServerEvent, common,
    text::{Text, texts},
};

/// Encodes a fact as the events that tell of it.
#[must_use]
pub fn encode(fact: &Fact<'_>) -> Vec<ServerEvent> {
    vec![match *fact {
        Fact::Joined { conversation, .. } => room("joined_conversation", conversation),
        Fact::Left { conversation } => room("left_conversation", conversation),
        Fact::Appended(message, conversation) => posted("new_message", message, conversation),
        Fact::Sent(message, conversation) => posted("message_sent", message, conversation),
        Fact::Typing {
            conversation,
            user,
            role,
            active: true,
        } => user_typing(conversation, user, role),
        Fact::Typing {
            conversation, user, ..
        } => user_stopped_typing(conversation, user),
        Fact::Marked { ids } => marked_as_read(ids),
        Fact::Read {
            conversation, ids, ..
        } => messages_read(conversation, ids),
        Fact::Delivered {
            conversation,
            ids,
            reader,
            at,
            ..
        } => common::message_delivered(conversation, ids, reader, at),
        Fact::Presence {
            user, presence, at, ..
        } => presence_changed(user, presence, at),
        Fact::Synced(synced) => {
            let message = |message, _: &_| MessageBody::from(message);
            common::sync_result(synced, common::id, ConversationBody::from, message)
        }
        Fact::Resync(heads) => common::resync(heads),
        Fact::TokenRefreshed(expires_at) => common::auth_refreshed(expires_at),
        Fact::Failed(failure) => common::failed("error", failure),
        Fact::Received(_) | Fact::Introduced(_) | Fact::StatusSet(_) | Fact::Heard(_) => {
            return Vec::new();
        }
    }]
}

/// A socket entered or left a room.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomBody {
    conversation_id: Text<ConversationId>,
}

fn room(name: &'static str, conversation: ConversationId) -> ServerEvent {
    let conversation_id = Text(conversation);
    ServerEvent::new(name, &RoomBody { conversation_id })
}

fn posted(name: &'static str, message: &Message, conversation: &Conversation) -> ServerEvent {
    ServerEvent::new(name, &PostedBody::new(message, conversation))
}

/// Somebody else types.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypingBody<'a> {
    user_id: &'a str,
    user_type: &'static str,
    conversation_id: Text<ConversationId>,
}

/// Encodes that somebody else types.
fn user_typing(conversation: ConversationId, user: &UserId, role: Role) -> ServerEvent {
    ServerEvent::new(
        "user_typing",
        &TypingBody {
            user_id: user.as_str(),
            user_type: role.as_str(),
            conversation_id: Text(conversation),
        },
    )
}

/// Somebody else types no longer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoppedTypingBody<'a> {
    user_id: &'a str,
    conversation_id: Text<ConversationId>,
}

/// Encodes that somebody else types no longer.
fn user_stopped_typing(conversation: ConversationId, user: &UserId) -> ServerEvent {
    ServerEvent::new(
        "user_stopped_typing",
        &StoppedTypingBody {
            user_id: user.as_str(),
            conversation_id: Text(conversation),
        },
    )
}

/// Messages that were really marked.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkedBody<'a> {
    #[serde(serialize_with = "texts")]
    #[schemars(with = "Vec<Text<MessageId>>")]
    message_ids: &'a [MessageId],
    success: bool,
}

/// Encodes the answer to `mark_read`: the messages that were really marked.
fn marked_as_read(ids: &[MessageId]) -> ServerEvent {
    ServerEvent::new(
        "marked_as_read",
        &MarkedBody {
            message_ids: ids,
            success: true,
        },
    )
}

/// Messages were read.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadBody<'a> {
    conversation_id: Text<ConversationId>,
    #[serde(serialize_with = "texts")]
    #[schemars(with = "Vec<Text<MessageId>>")]
    message_ids: &'a [MessageId],
}

/// Encodes for the others that messages were read.
fn messages_read(conversation: ConversationId, ids: &[MessageId]) -> ServerEvent {
    ServerEvent::new(
        "messages_read",
        &ReadBody {
            conversation_id: Text(conversation),
            message_ids: ids,
        },
    )
}
