//! Rooms, and what was missed in them.

use chat_domain::{ChatError, ConversationId, Seq};
use dialects::consult;

use super::{Chat, Request, answer};

impl Chat {
    /// Enters a room, for participants.
    pub(super) async fn join(
        &self,
        request: &Request,
        conversation: ConversationId,
    ) -> Result<(), ChatError> {
        let session = request.socket.session();
        self.membership.check(&session.key(), conversation).await?;
        session.join(conversation)?;
        self.parts.delivery.joined(&session.app().id, conversation);
        answer(request, &consult::joined_conversation(conversation));
        Ok(())
    }

    /// Leaves a room. Nobody needs to have been in it.
    pub(super) fn leave(
        &self,
        request: &Request,
        conversation: ConversationId,
    ) -> Result<(), ChatError> {
        self.parts
            .typing
            .stop(request.socket.number(), conversation);
        request.socket.session().leave(conversation)?;
        answer(request, &consult::left_conversation(conversation));
        Ok(())
    }

    /// Returns what was missed behind the places that the client names.
    pub(super) async fn sync(
        &self,
        request: &Request,
        since: &[(ConversationId, Seq)],
    ) -> Result<(), ChatError> {
        let user = request.socket.session().key();
        let synced = self.parts.store.sync(&user, since).await?;
        let parts: Vec<consult::Synced<'_>> = synced
            .iter()
            .map(|synced| consult::Synced {
                conversation: &synced.conversation,
                messages: &synced.messages,
                more: synced.more,
            })
            .collect();
        answer(request, &consult::sync_result(&parts));
        Ok(())
    }
}
