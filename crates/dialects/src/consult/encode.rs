//! Facts of the domain as the events that clients of this dialect hear.

use chat_domain::{
    ChatError, Conversation, ConversationId, Message, MessageId, Role, Seq, Timestamp, UserId,
};
use serde::Serialize;

use super::{ConversationBody, MessageBody, PostedBody};
use crate::{
    Rejection, ServerEvent,
    text::{Text, texts},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Room {
    conversation_id: Text<ConversationId>,
}

/// Encodes the answer to `join_conversation`.
#[must_use]
pub fn joined_conversation(conversation: ConversationId) -> ServerEvent {
    let conversation_id = Text(conversation);
    ServerEvent::new("joined_conversation", &Room { conversation_id })
}

/// Encodes the answer to `leave_conversation`.
#[must_use]
pub fn left_conversation(conversation: ConversationId) -> ServerEvent {
    let conversation_id = Text(conversation);
    ServerEvent::new("left_conversation", &Room { conversation_id })
}

/// Encodes a message for every socket of its conversation.
#[must_use]
pub fn new_message(message: &Message, conversation: &Conversation) -> ServerEvent {
    ServerEvent::new("new_message", &PostedBody::new(message, conversation))
}

/// Encodes the answer to `send_message`; the body is that of [`new_message`].
#[must_use]
pub fn message_sent(message: &Message, conversation: &Conversation) -> ServerEvent {
    ServerEvent::new("message_sent", &PostedBody::new(message, conversation))
}

/// Encodes that somebody else types.
#[must_use]
pub fn user_typing(conversation: ConversationId, user: &UserId, role: Role) -> ServerEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        user_id: &'a str,
        user_type: &'static str,
        conversation_id: Text<ConversationId>,
    }

    ServerEvent::new(
        "user_typing",
        &Body {
            user_id: user.as_str(),
            user_type: role.as_str(),
            conversation_id: Text(conversation),
        },
    )
}

/// Encodes that somebody else types no longer.
#[must_use]
pub fn user_stopped_typing(conversation: ConversationId, user: &UserId) -> ServerEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        user_id: &'a str,
        conversation_id: Text<ConversationId>,
    }

    ServerEvent::new(
        "user_stopped_typing",
        &Body {
            user_id: user.as_str(),
            conversation_id: Text(conversation),
        },
    )
}

/// Encodes the answer to `mark_read`: the messages that were really marked.
#[must_use]
pub fn marked_as_read(ids: &[MessageId]) -> ServerEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(serialize_with = "texts")]
        message_ids: &'a [MessageId],
        success: bool,
    }

    ServerEvent::new(
        "marked_as_read",
        &Body {
            message_ids: ids,
            success: true,
        },
    )
}

/// Encodes for the others that messages were read.
#[must_use]
pub fn messages_read(conversation: ConversationId, ids: &[MessageId]) -> ServerEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        conversation_id: Text<ConversationId>,
        #[serde(serialize_with = "texts")]
        message_ids: &'a [MessageId],
    }

    ServerEvent::new(
        "messages_read",
        &Body {
            conversation_id: Text(conversation),
            message_ids: ids,
        },
    )
}

/// Encodes for the sender that messages reached `user`.
#[must_use]
pub fn message_delivered(
    conversation: ConversationId,
    ids: &[MessageId],
    user: &UserId,
    delivered_at: Timestamp,
) -> ServerEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        conversation_id: Text<ConversationId>,
        #[serde(serialize_with = "texts")]
        message_ids: &'a [MessageId],
        user_id: &'a str,
        delivered_at: Text<Timestamp>,
    }

    ServerEvent::new(
        "message_delivered",
        &Body {
            conversation_id: Text(conversation),
            message_ids: ids,
            user_id: user.as_str(),
            delivered_at: Text(delivered_at),
        },
    )
}

/// What was missed in one conversation.
#[derive(Debug, Clone, Copy)]
pub struct Synced<'a> {
    /// The conversation.
    pub conversation: &'a Conversation,
    /// Its messages after the place that the client named, ascending.
    pub messages: &'a [Message],
    /// True when there are more: the client asks again from the last one.
    pub more: bool,
}

/// Encodes the answer to `sync`.
#[must_use]
pub fn sync_result(synced: &[Synced<'_>]) -> ServerEvent {
    #[derive(Serialize)]
    struct Body<'a> {
        conversations: Vec<Part<'a>>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        conversation_id: Text<ConversationId>,
        conversation: ConversationBody<'a>,
        messages: Vec<MessageBody<'a>>,
        more: bool,
    }

    let conversations = synced
        .iter()
        .map(|part| Part {
            conversation_id: Text(part.conversation.id),
            conversation: part.conversation.into(),
            messages: part.messages.iter().map(MessageBody::from).collect(),
            more: part.more,
        })
        .collect();
    ServerEvent::new("sync_result", &Body { conversations })
}

/// Encodes that a socket was not told everything: it fetches what lies before each place.
#[must_use]
pub fn resync(heads: &[(ConversationId, Seq)]) -> ServerEvent {
    #[derive(Serialize)]
    struct Body {
        conversations: Vec<Head>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        conversation_id: Text<ConversationId>,
        last_seq: u64,
    }

    let conversations = heads
        .iter()
        .map(|(conversation, last_seq)| Head {
            conversation_id: Text(*conversation),
            last_seq: last_seq.0,
        })
        .collect();
    ServerEvent::new("resync", &Body { conversations })
}

/// Encodes that a newer token was taken, and until when the session lasts now.
#[must_use]
pub fn auth_refreshed(expires_at: Timestamp) -> ServerEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        expires_at: Text<Timestamp>,
    }

    let expires_at = Text(expires_at);
    ServerEvent::new("auth:refreshed", &Body { expires_at })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// Encodes a failure that no [`ChatError`] stands for, such as an expired token or an unknown event.
///
/// `event` is the client's event that failed, if one did.
#[must_use]
pub fn error(message: &str, code: &str, event: Option<&str>) -> ServerEvent {
    ServerEvent::new(
        "error",
        &ErrorBody {
            message,
            code,
            event,
            retry_after_ms: None,
        },
    )
}

/// Encodes a failed operation.
#[must_use]
pub fn failure(failure: &ChatError, event: Option<&str>) -> ServerEvent {
    let retry_after_ms = if let ChatError::RateLimited { retry_after_ms } = failure {
        Some(*retry_after_ms)
    } else {
        None
    };
    ServerEvent::new(
        "error",
        &ErrorBody {
            message: &failure.to_string(),
            code: failure.kind().code(),
            event,
            retry_after_ms,
        },
    )
}

/// Encodes that an event was not taken.
#[must_use]
pub fn rejected(rejection: &Rejection) -> ServerEvent {
    error(
        &rejection.message,
        rejection.kind.code(),
        Some(rejection.event),
    )
}
