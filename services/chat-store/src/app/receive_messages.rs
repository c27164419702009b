//! Marks messages as delivered or read, and tells both sides.

use chat_domain::{ChatError, Conversation, ConversationId, MessageId, Receipt};

use super::{App, Member};
use crate::ports::{Committed, Event, Origin, Received};

impl App {
    /// Most messages in one receipt.
    pub const MAX_RECEIPT: usize = 500;

    /// Marks messages that others sent to the member. Those marked before, foreign or unknown stay out
    /// of what is returned, so a repeated receipt changes nothing and tells nobody.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`], [`ChatError::NotParticipant`], and
    /// [`ChatError::TooLarge`] past [`Self::MAX_RECEIPT`] ids.
    pub async fn receive<'a>(
        &self,
        member: impl Into<Member<'a>> + Send,
        conversation: ConversationId,
        ids: &[MessageId],
        receipt: Receipt,
        origin: Origin,
    ) -> Result<Received, ChatError> {
        if ids.len() > Self::MAX_RECEIPT {
            return Err(ChatError::TooLarge("messageIds"));
        }
        let member = member.into();
        let conversation = self.conversation(member, conversation).await?;
        self.receive_in(member, &conversation, ids, receipt, origin)
            .await
    }

    pub(super) async fn receive_in(
        &self,
        member: Member<'_>,
        conversation: &Conversation,
        ids: &[MessageId],
        receipt: Receipt,
        origin: Origin,
    ) -> Result<Received, ChatError> {
        let (received, epoch) = self
            .store
            .receive(conversation.id, member.user, ids, receipt)
            .await?;
        if received.ids.is_empty() {
            return Ok(received);
        }
        let event = Event::received(
            conversation,
            member.user,
            receipt,
            received.clone(),
            origin,
            epoch,
        );
        // A lost one is repaired when its reader next asks: the state itself is stored.
        self.events.publish(Committed {
            events: vec![event],
            outbox: None,
        });
        Ok(received)
    }
}
