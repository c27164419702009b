//! The JSON of REST answers that are no messages.

use chat_domain::{Conversation, ConversationId, MessageId, Role, Timestamp, User};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// A conversation in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConversationBody<'a> {
    id: Text<ConversationId>,
    participants: [&'a str; 2],
    #[serde(rename = "type")]
    kind: &'static str,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
    last_message_at: Option<Text<Timestamp>>,
    last_seq: u64,
    unread_count: u64,
}

impl<'a> ConversationBody<'a> {
    /// Combines a conversation, when its newest message that is still there was sent, and how many of
    /// its messages the caller has not read.
    #[must_use]
    pub fn new(
        conversation: &'a Conversation,
        last_message_at: Option<Timestamp>,
        unread_count: u64,
    ) -> Self {
        let [first, second] = &conversation.participants;
        let (first_id, second_id) = (first.user.as_str(), second.user.as_str());
        Self {
            id: Text(conversation.id),
            participants: [first_id.min(second_id), first_id.max(second_id)],
            kind: match (first.role, second.role) {
                (Role::Admin, Role::Admin) => "admin-admin",
                (Role::Doctor, Role::Doctor) => "doctor-doctor",
                _ => "admin-doctor",
            },
            created_at: Text(conversation.created_at),
            updated_at: Text(conversation.updated_at),
            last_message_at: last_message_at.map(Text),
            last_seq: conversation.last_seq.0,
            unread_count,
        }
    }
}

/// A user that a search found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserBody<'a> {
    email: &'a str,
    full_name: Option<&'a str>,
    role: &'static str,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            email: user.id.as_str(),
            full_name: user.name.as_deref(),
            role: user.role.as_str(),
        }
    }
}

/// How many messages a user has not read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnreadBody {
    /// In all conversations.
    pub unread_count: u64,
}

/// A message that was read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReadBody {
    id: Text<MessageId>,
    read: bool,
    read_at: Text<Timestamp>,
}

impl ReadBody {
    /// Combines the two.
    #[must_use]
    pub const fn new(id: MessageId, read_at: Timestamp) -> Self {
        Self {
            id: Text(id),
            read: true,
            read_at: Text(read_at),
        }
    }
}
