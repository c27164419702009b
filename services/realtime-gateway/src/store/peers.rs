//! Requests of clients that name a booking or another user, and no conversation.

use bytes::Bytes;
use chat_domain::{AppId, ChatError, Conversation, MessageId, Place, Status, User, UserId};
use chat_proto::{WireError, WireId as _, subject::Rpc, v1};

use super::{PATIENT, Store, conversation};
use crate::registry::UserKey;

impl Store {
    /// Returns the one conversation of a booking or with another user, which is made unless it is
    /// there.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `NotFound`, `Unauthorized` or `Invalid` when `caller` may not write
    /// there, and [`ChatError::Unavailable`] when no store answers in time.
    pub async fn open_conversation(
        &self,
        app: &AppId,
        caller: &User,
        place: &Place,
        device: Bytes,
    ) -> Result<Conversation, ChatError> {
        use v1::open_conversation_request::Place as Wire;

        let (key, place) = match place {
            Place::Booking(booking) => {
                let id = booking.as_str();
                (id, Wire::BookingId(id.to_owned()))
            }
            Place::Peer(peer) => (peer.as_str(), Wire::PeerId(peer.as_str().to_owned())),
            Place::Conversation(_) => return Err(ChatError::ConversationNotFound),
        };
        let request = v1::OpenConversationRequest {
            app: app.as_str().to_owned(),
            caller: Some(caller.into()),
            place: Some(place),
            device,
        };
        let reply: v1::OpenConversationReply = self
            .call(Rpc::OpenConversation, key, &request, PATIENT)
            .await?;
        conversation(reply.conversation)
    }

    /// Marks everything read that `peer` wrote to a user, and returns what was really marked.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn read_all_of(
        &self,
        user: &UserKey,
        peer: &UserId,
        by: (Bytes, String),
    ) -> Result<Vec<MessageId>, ChatError> {
        let what = v1::read_request::What::PeerId(peer.as_str().to_owned());
        self.mark(user, what, by).await
    }

    /// Marks messages read, whichever of the user's conversations they are in, and returns those
    /// really marked.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn read(
        &self,
        user: &UserKey,
        ids: &[MessageId],
        by: (Bytes, String),
    ) -> Result<Vec<MessageId>, ChatError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = ids.iter().map(ToString::to_string).collect();
        let what = v1::read_request::What::Messages(v1::MessageIds { ids });
        self.mark(user, what, by).await
    }

    async fn mark(
        &self,
        user: &UserKey,
        what: v1::read_request::What,
        (origin, traceparent): (Bytes, String),
    ) -> Result<Vec<MessageId>, ChatError> {
        let request = v1::ReadRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            what: Some(what),
            origin,
            traceparent,
        };
        let reply: v1::ReadReply = self
            .call(Rpc::Read, user.user.as_str(), &request, PATIENT)
            .await?;
        let ids = reply.received.iter().flat_map(|one| &one.message_ids);
        let ids: Result<_, WireError> = ids.map(|id| MessageId::from_wire(id)).collect();
        Ok(ids?)
    }

    /// Says what others see of a user.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when nobody can take it now.
    pub async fn set_status(&self, user: &UserKey, status: Status) -> Result<(), ChatError> {
        let request = v1::SetStatusRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            status: status.as_str().to_owned(),
        };
        let key = user.user.as_str();
        let reply: v1::SetStatusReply = self.call(Rpc::SetStatus, key, &request, PATIENT).await?;
        let v1::SetStatusReply {} = reply;
        Ok(())
    }
}
