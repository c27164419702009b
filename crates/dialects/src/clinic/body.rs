//! The JSON of messages, the same in events and in REST answers.

use chat_domain::{
    ClientKey, Conversation, ConversationId, Message, MessageId, Retention, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// A message as clients see it. Users go by their e-mail, which is their id.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MessageBody<'a> {
    id: Text<MessageId>,
    conversation_id: Text<ConversationId>,
    seq: u64,
    sender_email: &'a str,
    receiver_email: &'a str,
    content: &'a str,
    message_type: &'static str,
    file_url: Option<&'a str>,
    file_name: Option<&'a str>,
    client_message_id: Option<&'a str>,
    timestamp: Text<Timestamp>,
    delivered_at: Option<Text<Timestamp>>,
    read: bool,
    read_at: Option<Text<Timestamp>>,
    expires_at: Option<Text<Timestamp>>,
}

impl<'a> MessageBody<'a> {
    /// Combines a message, its conversation and for how long the app keeps messages.
    #[must_use]
    pub fn new(
        message: &'a Message,
        conversation: &'a Conversation,
        retention: Option<Retention>,
    ) -> Self {
        let (sender, receiver) = conversation.sender_and_receiver(message);
        let attachment = message.content.attachment();
        let expiry = |retention: Retention| Text(retention.expiry_of(message.created_at));
        Self {
            id: Text(message.id),
            conversation_id: Text(message.conversation),
            seq: message.seq.0,
            sender_email: sender.user.as_str(),
            receiver_email: receiver.user.as_str(),
            content: message.content.text(),
            message_type: message.content.kind().as_str(),
            file_url: attachment.map(|file| file.url.as_str()),
            file_name: attachment.and_then(|file| file.name.as_deref()),
            client_message_id: message.client_key.as_ref().map(ClientKey::as_str),
            timestamp: Text(message.created_at),
            delivered_at: message.delivered_at.map(Text),
            read: message.read_at.is_some(),
            read_at: message.read_at.map(Text),
            expires_at: retention.map(expiry),
        }
    }
}
