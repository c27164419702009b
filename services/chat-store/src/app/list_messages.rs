//! Reads history: a page for a person, a range for a gateway, what was missed for a device.

use chat_domain::{
    AppId, ChatError, Conversation, ConversationId, Direction, Message, MessageId, PageRequest,
    Seq, SubjectId, UserId,
};

use super::{App, Caller, Member};
use crate::{
    ports::{Origin, Slice},
    ports_audit::Action,
};

/// What a user missed in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The conversation.
    pub conversation: Conversation,
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Whether there are more after the last one.
    pub more: bool,
}

impl App {
    /// Most messages in a range, and in what a sync returns per conversation.
    pub const MAX_RANGE: u32 = 500;
    /// Most conversations in one sync.
    pub const MAX_SYNC: usize = 100;

    /// Returns a page of the caller's conversation, in the order that its [`Direction`] says, and
    /// marks what the caller received by it as delivered.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`] or [`ChatError::NotParticipant`].
    pub async fn page(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        page: PageRequest,
    ) -> Result<(Conversation, Vec<Message>), ChatError> {
        let conversation = self.conversation(caller, conversation).await?;
        let slice = match page.direction {
            // Places have no gaps, so an offset from the end is a place.
            Direction::Newest { offset } => Slice::Before(Seq(conversation
                .last_seq
                .next()
                .0
                .saturating_sub(u64::from(offset)))),
            Direction::Before(seq) => Slice::Before(seq),
            Direction::After(seq) => Slice::After(seq),
        };
        let since = self.horizon(&caller.app.id);
        let mut messages = self
            .store
            .list_messages(conversation.id, slice, page.limit, since)
            .await?;
        let shown = [(conversation.id, &messages[..])];
        self.showing(caller.into(), Action::Read, shown).await?;
        self.deliver(caller, &conversation, &mut messages).await?;
        Ok((conversation, messages))
    }

    /// Returns a page as [`Self::page`] does, of the conversation with another user: also of one who
    /// may not be written to any more.
    ///
    /// # Errors
    ///
    /// Those of [`App::open_pair`] when the two have no conversation and may have none; else the page is
    /// empty, and there is no conversation.
    pub async fn page_with(
        &self,
        caller: &Caller,
        peer: &UserId,
        page: PageRequest,
    ) -> Result<Option<(Conversation, Vec<Message>)>, ChatError> {
        let found = self.pair_for_reading(caller, peer).await;
        match self
            .noting(caller.into(), Action::Read, None, found)
            .await?
        {
            Some(conversation) => self.page(caller, conversation.id, page).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns a page as [`Self::page`] does, of a booking: also for one who owned the business once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::BookingNotFound`] and [`ChatError::NotOfBooking`]. Of a booking that nobody
    /// wrote about, the page is empty, and there is no conversation.
    pub async fn page_of_booking(
        &self,
        caller: &Caller,
        booking: &SubjectId,
        page: PageRequest,
    ) -> Result<Option<(Conversation, Vec<Message>)>, ChatError> {
        let found = self.booking_for_reading(caller, booking).await;
        match self
            .noting(caller.into(), Action::Read, None, found)
            .await?
        {
            Some(conversation) => self.page(caller, conversation.id, page).await.map(Some),
            None => Ok(None),
        }
    }

    async fn deliver(
        &self,
        caller: &Caller,
        conversation: &Conversation,
        messages: &mut [Message],
    ) -> Result<(), ChatError> {
        let ids: Vec<MessageId> = messages
            .iter()
            .filter(|message| message.delivered_at.is_none() && message.sender != caller.user.id)
            .map(|message| message.id)
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let (member, origin) = (Member::from(caller), Origin::default());
        let deliverer = &self.deliverer;
        let received = deliverer
            .deliver(member, conversation.id, &ids, origin)
            .await?;
        for message in messages {
            if received.ids.contains(&message.id) {
                message.delivered_at = Some(received.at);
            }
        }
        Ok(())
    }

    /// Returns messages after a place, oldest first, for a gateway that has checked who may see them.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`].
    pub async fn range(
        &self,
        app: &AppId,
        conversation: ConversationId,
        after: Seq,
        limit: u32,
    ) -> Result<(Conversation, Vec<Message>), ChatError> {
        let conversation = self.existing(app, conversation).await?;
        let limit = limit.clamp(1, Self::MAX_RANGE);
        let messages = self.after(&conversation, after, limit).await?;
        Ok((conversation, messages))
    }

    /// Returns what the member missed after each place, oldest first.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] past [`Self::MAX_SYNC`] conversations, and
    /// [`ChatError::ConversationNotFound`] or [`ChatError::NotParticipant`] for any of them.
    pub async fn sync<'a>(
        &self,
        member: impl Into<Member<'a>> + Send,
        since: &[(ConversationId, Seq)],
    ) -> Result<Vec<Synced>, ChatError> {
        if since.len() > Self::MAX_SYNC {
            return Err(ChatError::TooLarge("the list of conversations"));
        }
        let member = member.into();
        let mut synced = Vec::with_capacity(since.len());
        for (id, after) in since {
            let conversation = self.conversation(member, *id).await?;
            let messages = self.after(&conversation, *after, Self::MAX_RANGE).await?;
            let more = messages
                .last()
                .is_some_and(|last| last.seq < conversation.last_seq);
            synced.push(Synced {
                conversation,
                messages,
                more,
            });
        }
        let shown = synced
            .iter()
            .filter(|synced| !synced.messages.is_empty())
            .map(|synced| (synced.conversation.id, &synced.messages[..]));
        self.showing(member, Action::Sync, shown).await?;
        Ok(synced)
    }

    async fn after(
        &self,
        conversation: &Conversation,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<Message>, ChatError> {
        if conversation.last_seq <= seq {
            return Ok(Vec::new());
        }
        self.store
            .list_messages(
                conversation.id,
                Slice::After(seq),
                limit,
                self.horizon(&conversation.app),
            )
            .await
    }
}
