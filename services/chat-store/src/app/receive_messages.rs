//! Marks messages as delivered or read, and tells both sides.

use chat_domain::{ChatError, ConversationId, MessageId, Receipt};

use super::{App, Member};
use crate::ports::{Origin, Received};

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
        match receipt {
            Receipt::Delivered => {
                let deliverer = &self.deliverer;
                deliverer.deliver(member, conversation, ids, origin).await
            }
            Receipt::Read => self.read(member, conversation, ids, origin).await,
        }
    }

    async fn read(
        &self,
        member: Member<'_>,
        conversation: ConversationId,
        ids: &[MessageId],
        origin: Origin,
    ) -> Result<Received, ChatError> {
        let conversation = self.conversation(member, conversation).await?;
        let (received, epoch) = self.store.read(conversation.id, member.user, ids).await?;
        self.tell_read(member, &conversation, received.clone(), (origin, epoch));
        Ok(received)
    }
}
