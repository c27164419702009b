//! What the store in memory does for dialects whose clients name bookings and other users.

use bytes::Bytes;
use chat_domain::{ChatError, Conversation, ConversationId, MessageId, Subject, UserId};
use chat_proto::{WireId as _, v1};

use super::store::{FakeStore, encode};

impl FakeStore {
    /// Finds the conversation that a message of `user` to `target` goes to.
    pub(super) fn addressed(
        &self,
        app: &str,
        user: &UserId,
        target: &str,
    ) -> Result<Conversation, ChatError> {
        if ConversationId::parse(target).is_ok() {
            return self.visible(user, target);
        }
        let conversations = self.conversations.lock();
        let mut of_app = conversations
            .values()
            .map(|stored| &stored.conversation)
            .filter(|conversation| conversation.app.as_str() == app);
        let found = of_app.find(|conversation| match &conversation.subject {
            Subject::Booking(booking) => booking.as_str() == target,
            Subject::Pair => conversation
                .peer_of(user)
                .is_some_and(|peer| peer.user.as_str() == target),
        });
        let conversation = found.ok_or(ChatError::BookingNotFound)?;
        match conversation.participant(user) {
            Some(_) => Ok(conversation.clone()),
            None => Err(ChatError::Forbidden("Unauthorized")),
        }
    }

    pub(super) fn open_conversation(
        &self,
        request: v1::OpenConversationRequest,
    ) -> Result<Bytes, ChatError> {
        use v1::open_conversation_request::Place;

        let caller = UserId::new(&request.caller.unwrap_or_default().id)?;
        let Some(Place::BookingId(target) | Place::PeerId(target)) = request.place else {
            return Err(ChatError::Malformed("no place"));
        };
        let conversation = self.addressed(&request.app, &caller, &target)?;
        Ok(encode(&v1::OpenConversationReply {
            conversation: Some((&conversation).into()),
        }))
    }

    pub(super) async fn read(&self, request: v1::ReadRequest) -> Result<Bytes, ChatError> {
        let user = UserId::new(&request.user_id)?;
        let what = request
            .what
            .ok_or(ChatError::Malformed("nothing to read"))?;
        let now = service_kit::now();
        let is_meant = |sender: &UserId, id: MessageId| match &what {
            v1::read_request::What::PeerId(peer) => sender.as_str() == peer,
            v1::read_request::What::Messages(messages) => messages.ids.contains(&id.to_string()),
        };
        let mut read = Vec::new();
        for stored in self.conversations.lock().values_mut() {
            let conversation = &stored.conversation;
            let is_own = conversation.participant(&user).is_some();
            if !is_own || conversation.app.as_str() != request.app {
                continue;
            }
            let mut ids = Vec::new();
            for message in &mut stored.messages {
                let is_others = message.sender != user && message.read_at.is_none();
                if is_others && is_meant(&message.sender, message.id) {
                    message.read_at = Some(now);
                    ids.push(message.id.to_wire());
                }
            }
            if !ids.is_empty() {
                let received = v1::MessagesReceived {
                    conversation_id: conversation.id.to_wire(),
                    receipt: v1::ReceiptKind::Read.into(),
                    user_id: request.user_id.clone(),
                    message_ids: ids,
                    at_ms: now.0,
                };
                read.push((conversation.clone(), received));
            }
        }
        for (conversation, received) in &read {
            let body = v1::envelope::Body::MessagesReceived(received.clone());
            self.publish(conversation, body, request.origin.clone())
                .await;
        }
        Ok(encode(&v1::ReadReply {
            received: read.into_iter().map(|(_, received)| received).collect(),
        }))
    }
}
