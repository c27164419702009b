//! The JSON of people and messages, the same in events and in REST answers.

use chat_domain::{
    ClientKey, Conversation, ConversationId, Message, MessageId, Participant, Subject, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// A user as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PersonBody<'a> {
    _id: &'a str,
    name: Option<&'a str>,
    email: Option<&'a str>,
}

impl<'a> From<&'a Participant> for PersonBody<'a> {
    fn from(participant: &'a Participant) -> Self {
        Self {
            _id: participant.user.as_str(),
            name: participant.name.as_deref(),
            email: participant.email.as_deref(),
        }
    }
}

/// A message as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody<'a> {
    #[serde(rename = "_id")]
    id: Text<MessageId>,
    booking: Option<&'a str>,
    conversation_id: Text<ConversationId>,
    seq: u64,
    sender: PersonBody<'a>,
    sender_type: &'static str,
    content: &'a str,
    message_type: &'static str,
    file_url: Option<&'a str>,
    file_name: Option<&'a str>,
    client_message_id: Option<&'a str>,
    is_read: bool,
    read_at: Option<Text<Timestamp>>,
    delivered_at: Option<Text<Timestamp>>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl<'a> MessageBody<'a> {
    /// Combines a message and its conversation.
    #[must_use]
    pub fn new(message: &'a Message, conversation: &'a Conversation) -> Self {
        let (sender, _) = conversation.sender_and_receiver(message);
        let attachment = message.content.attachment();
        let changed_at = message.read_at.max(message.delivered_at);
        Self {
            id: Text(message.id),
            booking: booking_of(conversation),
            conversation_id: Text(message.conversation),
            seq: message.seq.0,
            sender: sender.into(),
            sender_type: message.sender_role.as_str(),
            content: message.content.text(),
            message_type: message.content.kind().as_str(),
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

/// Returns the booking that a conversation is about.
pub(super) fn booking_of(conversation: &Conversation) -> Option<&str> {
    match &conversation.subject {
        Subject::Booking(id) => Some(id.as_str()),
        Subject::Pair => None,
    }
}
