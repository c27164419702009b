//! The JSON of people and messages, the same in events and in REST answers.

use std::fmt;

use chat_domain::{ClientKey, Conversation, Message, MessageId, Participant, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::{Spelled, Text};

/// A user as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PersonBody<'a> {
    _id: &'a str,
    fullname: Option<&'a str>,
    email: Option<&'a str>,
    role: &'static str,
}

impl<'a> From<&'a Participant> for PersonBody<'a> {
    fn from(participant: &'a Participant) -> Self {
        Self {
            _id: participant.user.as_str(),
            fullname: participant.name.as_deref(),
            email: participant.email.as_deref(),
            role: participant.role.as_str(),
        }
    }
}

/// What clients call a conversation: the ids of its two, sorted and joined by `_`.
#[derive(Debug, Clone, Copy)]
pub struct PairKey<'a>(&'a UserId, &'a UserId);

impl<'a> PairKey<'a> {
    /// Names the conversation of two users, in whichever order.
    #[must_use]
    pub fn new(one: &'a UserId, other: &'a UserId) -> Self {
        Self(one.min(other), one.max(other))
    }
}

impl<'a> From<&'a Conversation> for PairKey<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        let [first, second] = &conversation.participants;
        Self::new(&first.user, &second.user)
    }
}

impl Spelled for PairKey<'_> {
    const FORMAT: Option<&'static str> = None;
}

impl fmt::Display for PairKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.0, self.1)
    }
}

/// A message as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody<'a> {
    #[serde(rename = "_id")]
    id: Text<MessageId>,
    conversation_id: Text<PairKey<'a>>,
    seq: u64,
    sender: PersonBody<'a>,
    receiver: PersonBody<'a>,
    content: &'a str,
    message_type: &'static str,
    file_url: Option<&'a str>,
    file_name: Option<&'a str>,
    client_message_id: Option<&'a str>,
    is_read: bool,
    read_at: Option<Text<Timestamp>>,
    delivered_at: Option<Text<Timestamp>>,
    created_at: Text<Timestamp>,
}

impl<'a> MessageBody<'a> {
    /// Combines a message and its conversation.
    #[must_use]
    pub fn new(message: &'a Message, conversation: &'a Conversation) -> Self {
        let (sender, receiver) = conversation.sender_and_receiver(message);
        let attachment = message.content.attachment();
        Self {
            id: Text(message.id),
            conversation_id: Text(conversation.into()),
            seq: message.seq.0,
            sender: sender.into(),
            receiver: receiver.into(),
            content: message.content.text(),
            message_type: message.content.kind().as_str(),
            file_url: attachment.map(|file| file.url.as_str()),
            file_name: attachment.and_then(|file| file.name.as_deref()),
            client_message_id: message.client_key.as_ref().map(ClientKey::as_str),
            is_read: message.read_at.is_some(),
            read_at: message.read_at.map(Text),
            delivered_at: message.delivered_at.map(Text),
            created_at: Text(message.created_at),
        }
    }
}
