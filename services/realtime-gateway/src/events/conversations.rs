//! Rooms, and what was missed in them.

use chat_domain::{ChatError, ConversationId, Place, Seq};
use dialects::{Fact, Synced};

use super::{Chat, Request, answer};

impl Chat {
    /// Enters a room, for participants.
    pub(super) async fn join(&self, request: &Request, place: &Place) -> Result<(), ChatError> {
        let session = request.socket.session();
        let by = self.origin(&request.socket);
        let room = self.membership.find(session, place, by).await?;
        let conversation = room.id;
        session.join(conversation)?;
        self.parts.delivery.joined(&session.app().id, conversation);
        let joined = Fact::Joined {
            place,
            conversation,
        };
        answer(request, &joined);
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
        answer(request, &Fact::Left { conversation });
        Ok(())
    }

    /// Returns what was missed behind the places that the client names.
    pub(super) async fn sync(
        &self,
        request: &Request,
        since: &[(Place, Seq)],
    ) -> Result<(), ChatError> {
        let session = request.socket.session();
        let by = self.origin(&request.socket);
        let mut positions = Vec::with_capacity(since.len());
        for (place, seq) in since {
            let id = match place {
                Place::Conversation(id) => *id,
                Place::Booking(_) | Place::Peer(_) => {
                    self.membership.find(session, place, by).await?.id
                }
            };
            positions.push((id, *seq));
        }
        let (store, device) = (&self.parts.store, by.to_wire());
        let synced = store.sync(&session.key(), &positions, device).await?;
        let parts: Vec<Synced<'_>> = synced
            .iter()
            .map(|synced| Synced {
                conversation: &synced.conversation,
                messages: &synced.messages,
                more: synced.more,
            })
            .collect();
        answer(request, &Fact::Synced(&parts));
        Ok(())
    }
}
