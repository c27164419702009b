//! The JSON of REST answers that are no messages.

use chat_domain::{Conversation, Message, Participant, Presence, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use super::{MessageBody, PairKey, PersonBody};
use crate::text::Text;

/// What every answer is wrapped in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Success<T> {
    #[serde(rename = "success")]
    is_done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

impl<T> Success<T> {
    /// Answers with data.
    #[must_use]
    pub const fn of(data: T) -> Self {
        Self {
            is_done: true,
            message: None,
            data: Some(data),
        }
    }

    /// Answers with data and a sentence.
    #[must_use]
    pub const fn saying(message: &'static str, data: T) -> Self {
        Self {
            is_done: true,
            message: Some(message),
            data: Some(data),
        }
    }
}

impl Success<()> {
    /// Answers with a sentence alone.
    #[must_use]
    pub const fn done(message: &'static str) -> Self {
        Self {
            is_done: true,
            message: Some(message),
            data: None,
        }
    }
}

/// The newest message of a conversation in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LastMessageBody<'a> {
    content: &'a str,
    message_type: &'static str,
    created_at: Text<Timestamp>,
    sender: &'a str,
}

/// A conversation in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationBody<'a> {
    conversation_id: Text<PairKey<'a>>,
    other_user: PersonBody<'a>,
    last_message: Option<LastMessageBody<'a>>,
    last_seq: u64,
    unread_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageBody<'a>>,
}

impl<'a> ConversationBody<'a> {
    /// Shows a conversation to the side whose other one is `peer`.
    #[must_use]
    pub fn new(
        conversation: &'a Conversation,
        peer: &'a Participant,
        last: Option<&'a Message>,
        unread_count: u64,
    ) -> Self {
        let last_message = last.map(|message| LastMessageBody {
            content: message.content.text(),
            message_type: message.content.kind().as_str(),
            created_at: Text(message.created_at),
            sender: message.sender.as_str(),
        });
        Self {
            conversation_id: Text(conversation.into()),
            other_user: peer.into(),
            last_message,
            last_seq: conversation.last_seq.0,
            unread_count,
            messages: Vec::new(),
        }
    }

    /// Adds the messages that a search found in it.
    #[must_use]
    pub fn with_found(
        mut self,
        conversation: &'a Conversation,
        found: impl Iterator<Item = &'a Message>,
    ) -> Self {
        self.messages = found
            .map(|message| MessageBody::new(message, conversation))
            .collect();
        self
    }
}

/// How many messages a user has not read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadBody {
    /// In all conversations.
    pub unread_count: u64,
}

/// Whether a user is there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnlineBody<'a> {
    user_id: &'a str,
    is_online: bool,
    status: &'static str,
}

impl<'a> OnlineBody<'a> {
    /// Combines the two.
    #[must_use]
    pub fn new(user: &'a UserId, presence: Presence) -> Self {
        Self {
            user_id: user.as_str(),
            is_online: presence.is_online(),
            status: presence.as_str(),
        }
    }
}
