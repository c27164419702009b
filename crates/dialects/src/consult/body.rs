//! The JSON of conversations and messages, the same in events and in REST answers.

use chat_domain::{
    ClientKey, Conversation, ConversationId, Message, MessageId, Role, Subject, Timestamp, UserId,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// A conversation as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationBody<'a> {
    id: Text<ConversationId>,
    consultant_id: Option<&'a str>,
    patient_id: Option<&'a str>,
    booking_id: Option<&'a str>,
    last_seq: u64,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl<'a> From<&'a Conversation> for ConversationBody<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        let user = |role| conversation.user_in_role(role).map(UserId::as_str);
        Self {
            id: Text(conversation.id),
            consultant_id: user(Role::Consultant),
            patient_id: user(Role::Patient),
            booking_id: match &conversation.subject {
                Subject::Booking(id) => Some(id.as_str()),
                Subject::Pair => None,
            },
            last_seq: conversation.last_seq.0,
            created_at: Text(conversation.created_at),
            updated_at: Text(conversation.updated_at),
        }
    }
}

/// A message as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody<'a> {
    id: Text<MessageId>,
    conversation_id: Text<ConversationId>,
    seq: u64,
    sender_id: &'a str,
    sender_type: &'static str,
    message_type: &'static str,
    content: &'a str,
    file_url: Option<&'a str>,
    file_name: Option<&'a str>,
    client_message_id: Option<&'a str>,
    is_read: bool,
    read_at: Option<Text<Timestamp>>,
    delivered_at: Option<Text<Timestamp>>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl<'a> From<&'a Message> for MessageBody<'a> {
    fn from(message: &'a Message) -> Self {
        let attachment = message.content.attachment();
        let changed_at = message.read_at.max(message.delivered_at);
        Self {
            id: Text(message.id),
            conversation_id: Text(message.conversation),
            seq: message.seq.0,
            sender_id: message.sender.as_str(),
            sender_type: message.sender_role.as_str(),
            message_type: message.content.kind().as_str(),
            content: message.content.text(),
            file_url: attachment.map(|file| file.url.as_str()),
            file_name: attachment.and_then(|file| file.name.as_deref()),
            client_message_id: message.client_key.as_ref().map(ClientKey::as_str),
            is_read: message.read_at.is_some(),
            read_at: message.read_at.map(Text),
            delivered_at: message.delivered_at.map(Text),
            created_at: Text(message.created_at),
            updated_at: Text(changed_at.unwrap_or(message.created_at)),
        }
    }
}

/// A message together with its conversation: `new_message`, `message_sent` and the answer to a
/// message posted by REST.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PostedBody<'a> {
    message: MessageBody<'a>,
    conversation: ConversationBody<'a>,
}

impl<'a> PostedBody<'a> {
    /// Combines the two.
    #[must_use]
    pub fn new(message: &'a Message, conversation: &'a Conversation) -> Self {
        Self {
            message: message.into(),
            conversation: conversation.into(),
        }
    }
}

/// A page of a conversation's history.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryBody<'a> {
    conversation: ConversationBody<'a>,
    messages: Vec<MessageBody<'a>>,
}

impl<'a> HistoryBody<'a> {
    /// Lists `messages` in the order given.
    #[must_use]
    pub fn new(conversation: &'a Conversation, messages: &'a [Message]) -> Self {
        Self {
            conversation: conversation.into(),
            messages: messages.iter().map(MessageBody::from).collect(),
        }
    }
}

/// What a search found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundBody<'a> {
    messages: Vec<MessageBody<'a>>,
}

impl<'a> FoundBody<'a> {
    /// Lists `messages` in the order given.
    #[must_use]
    pub fn new(messages: &'a [Message]) -> Self {
        Self {
            messages: messages.iter().map(MessageBody::from).collect(),
        }
    }
}

/// How many messages of a conversation a user has not read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadBody {
    conversation_id: Text<ConversationId>,
    unread_count: u64,
}

impl UnreadBody {
    /// Combines the two.
    #[must_use]
    pub fn new(conversation: ConversationId, unread_count: u64) -> Self {
        Self {
            conversation_id: Text(conversation),
            unread_count,
        }
    }
}

/// The answer to marking messages as read by REST.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarkedBody {
    success: bool,
    updated_count: usize,
}

impl MarkedBody {
    /// Says how many messages were really marked.
    #[must_use]
    pub fn new(updated_count: usize) -> Self {
        Self {
            success: true,
            updated_count,
        }
    }
}
