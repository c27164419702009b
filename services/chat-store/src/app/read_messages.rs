//! Marks messages read for clients that do not name the conversation: all of a peer's, or these,
//! wherever they are.

use chat_domain::{ChatError, Conversation, ErrorKind, MessageId, Receipt, UserId};

use super::{App, Member};
use crate::ports::{Committed, Event, Marked, Origin, Received};

/// Most messages marked in one transaction, and told in one event.
const AT_ONCE: u32 = 500;
/// Most transactions of one request; what is left is marked by the next.
const MAX_ROUNDS: usize = 20;

impl App {
    /// Marks everything that `peer` sent to the member in the conversation of the two.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_pair`].
    pub async fn read_peer(
        &self,
        member: Member<'_>,
        peer: &UserId,
        origin: Origin,
    ) -> Result<Vec<Marked>, ChatError> {
        match self.pair_of(member, peer).await? {
            Some(conversation) => self.read_all(member, &conversation, origin).await,
            None => Ok(Vec::new()),
        }
    }

    /// Marks messages that others sent to the member, in whichever of its conversations. Those marked
    /// before, foreign, unknown, or of a conversation that the member has left, stay out.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] past [`Self::MAX_RECEIPT`] ids.
    pub async fn read_anywhere(
        &self,
        member: Member<'_>,
        ids: &[MessageId],
        origin: Origin,
    ) -> Result<Vec<Marked>, ChatError> {
        if ids.len() > Self::MAX_RECEIPT {
            return Err(ChatError::TooLarge("messageIds"));
        }
        let Member { app, user, .. } = member;
        let mut located = self.store.locate_messages(app, user, ids).await?;
        located.sort_unstable();
        let mut marked = Vec::new();
        for part in located.chunk_by(|one, next| one.0 == next.0) {
            let Some((conversation, _)) = part.first() else {
                continue;
            };
            let ids: Vec<MessageId> = part.iter().map(|(_, message)| *message).collect();
            let conversation = self.existing(app, *conversation).await?;
            match self.check_writer(app, user, &conversation).await {
                Err(error) if is_refusal(error.kind()) => continue,
                checked => checked?,
            }
            let (received, epoch) = self.store.read(conversation.id, user, &ids).await?;
            let origin = origin.clone();
            marked.extend(self.tell_read(member, &conversation, received, (origin, epoch)));
        }
        Ok(marked)
    }

    /// Marks everything that others sent to the member in a conversation of its own.
    pub(super) async fn read_all(
        &self,
        member: Member<'_>,
        conversation: &Conversation,
        origin: Origin,
    ) -> Result<Vec<Marked>, ChatError> {
        let mut marked = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let user = member.user.clone();
            let (received, epoch) = self
                .store
                .read_newest(conversation.id, user, AT_ONCE)
                .await?;
            let is_last = received.ids.len() < AT_ONCE as usize;
            let origin = origin.clone();
            marked.extend(self.tell_read(member, conversation, received, (origin, epoch)));
            if is_last {
                break;
            }
        }
        Ok(marked)
    }

    /// Tells both sides what was marked, if anything was, and returns it.
    pub(super) fn tell_read(
        &self,
        member: Member<'_>,
        conversation: &Conversation,
        received: Received,
        (origin, epoch): (Origin, u64),
    ) -> Option<Marked> {
        if received.ids.is_empty() {
            return None;
        }
        let event = Event::received(
            conversation,
            member.user,
            Receipt::Read,
            received.clone(),
            origin,
            epoch,
        );
        // A lost one is repaired when its reader next asks: the state itself is stored.
        self.events.publish(Committed {
            events: vec![event],
            outbox: None,
        });
        Some(Marked {
            conversation: conversation.id,
            receipt: Receipt::Read,
            user: member.user.clone(),
            received,
        })
    }
}

/// Tells whether the directory says no, rather than failing.
const fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthorized | ErrorKind::NotFound)
}
