//! Facts of the domain as the events that clients of this dialect hear.

use chat_domain::{
    Conversation, ConversationId, MessageId, Presence, Retention, Timestamp, UserId,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::MessageBody;
use crate::{Fact, ServerEvent, common, text::Text};

/// Encodes a fact as the events that tell of it, in an app that keeps messages for so long.
#[must_use]
pub fn encode(fact: &Fact<'_>, retention: Option<Retention>) -> Vec<ServerEvent> {
    let body = |message, conversation| MessageBody::new(message, conversation, retention);
    vec![match *fact {
        Fact::Appended(message, conversation) => {
            ServerEvent::new("receive_message", &body(message, conversation))
        }
        Fact::Sent(message, conversation) => {
            ServerEvent::new("message_sent_confirmed", &body(message, conversation))
        }
        Fact::Typing { user, active, .. } => user_typing(user, active),
        Fact::Read { ids, at, .. } => {
            let receipts = ids.iter().map(|id| message_read_receipt(*id, at));
            return receipts.collect();
        }
        Fact::Delivered {
            conversation,
            ids,
            reader,
            at,
            ..
        } => common::message_delivered(conversation, ids, reader, at),
        Fact::Presence {
            user,
            name,
            presence: Presence::Online(_),
            ..
        } => user_online(user, name),
        Fact::Presence { user, .. } => user_offline(user),
        Fact::Introduced(user) => user_online(&user.id, user.name.as_deref()),
        Fact::Synced(synced) => common::sync_result(synced, common::id, PairBody::new, body),
        Fact::Resync(heads) => common::resync(heads),
        Fact::TokenRefreshed(expires_at) => common::auth_refreshed(expires_at),
        Fact::Failed(failure) => common::failed("error", failure),
        Fact::Joined { .. } | Fact::Left { .. } | Fact::Marked { .. } => return Vec::new(),
        Fact::Received(_) | Fact::StatusSet(_) | Fact::Heard(_) => return Vec::new(),
    }]
}

/// A conversation of which something was missed.
#[derive(Serialize, JsonSchema)]
pub(super) struct PairBody<'a> {
    id: Text<ConversationId>,
    participants: [&'a str; 2],
    last_seq: u64,
}

impl<'a> PairBody<'a> {
    fn new(conversation: &'a Conversation) -> Self {
        let [one, other] = &conversation.participants;
        let mut participants = [one.user.as_str(), other.user.as_str()];
        participants.sort_unstable();
        Self {
            id: Text(conversation.id),
            participants,
            last_seq: conversation.last_seq.0,
        }
    }
}

/// Somebody types, or does no longer.
#[derive(Serialize, JsonSchema)]
pub(super) struct TypingBody<'a> {
    sender_email: &'a str,
    is_typing: bool,
}

fn user_typing(user: &UserId, is_typing: bool) -> ServerEvent {
    let sender_email = user.as_str();
    ServerEvent::new(
        "user_typing",
        &TypingBody {
            sender_email,
            is_typing,
        },
    )
}

/// A message was read.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReceiptBody {
    message_id: Text<MessageId>,
    read_at: Text<Timestamp>,
}

fn message_read_receipt(id: MessageId, at: Timestamp) -> ServerEvent {
    let (message_id, read_at) = (Text(id), Text(at));
    ServerEvent::new(
        "message_read_receipt",
        &ReceiptBody {
            message_id,
            read_at,
        },
    )
}

/// Somebody came.
#[derive(Serialize, JsonSchema)]
pub(super) struct OnlineBody<'a> {
    email: &'a str,
    name: &'a str,
}

/// Whoever has no name is called by the first part of the address.
fn user_online(user: &UserId, name: Option<&str>) -> ServerEvent {
    let email = user.as_str();
    let local_part = email.split('@').next().unwrap_or(email);
    let name = name.unwrap_or(local_part);
    ServerEvent::new("user_online", &OnlineBody { email, name })
}

/// Somebody went.
#[derive(Serialize, JsonSchema)]
pub(super) struct OfflineBody<'a> {
    email: &'a str,
}

fn user_offline(user: &UserId) -> ServerEvent {
    let email = user.as_str();
    ServerEvent::new("user_offline", &OfflineBody { email })
}
