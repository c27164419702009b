//! A user's conversations at a glance.

use chat_domain::{Booking, Business, ChatError, MessageId, Receipt, SubjectId, Timestamp, UserId};

use super::{App, Caller, Member};
use crate::{
    ports::{Origin, Overview, Wanted},
    ports_audit::Action,
};

impl App {
    /// Returns the caller's conversations that have messages, those that changed last first; with
    /// `business`, only those about bookings of it.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn overviews(
        &self,
        caller: &Caller,
        business: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Overview>, ChatError> {
        let found = self.listed(caller, business, limit).await?;
        let shown = found
            .iter()
            .filter(|one| one.last.is_some())
            .map(|one| (one.conversation.id, one.last.as_slice()));
        self.showing(caller.into(), Action::List, shown).await?;
        Ok(found)
    }

    /// Returns them as [`Self::overviews`] does, for those who log what they show of it.
    pub(super) async fn listed(
        &self,
        caller: &Caller,
        business: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Overview>, ChatError> {
        let Member { app, user, .. } = caller.into();
        let wanted = Wanted {
            business,
            limit,
            since: self.horizon(app),
        };
        let mut found = self.store.list_overviews(app, user, wanted).await?;
        let conversations = found.iter_mut().map(|one| &mut one.conversation);
        self.people.introduce(conversations).await;
        Ok(found)
    }

    /// Returns the caller's conversations about bookings of a business that is the caller's.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::BusinessNotFound`], and [`ChatError::NotOfBooking`] when it is somebody
    /// else's.
    pub async fn overviews_of_business(
        &self,
        caller: &Caller,
        business: &UserId,
        limit: u32,
    ) -> Result<Vec<Overview>, ChatError> {
        let found = self.store.find_business(&caller.app.id, business).await?;
        let found = found.ok_or(ChatError::BusinessNotFound)?;
        let own = (found.owner == caller.user.id).then_some(());
        let own = own.ok_or(ChatError::NotOfBooking);
        self.noting(caller.into(), Action::List, None, own).await?;
        self.overviews(caller, Some(business), limit).await
    }

    /// Returns what the directory says of bookings, each with its business.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn bookings(
        &self,
        caller: &Caller,
        ids: &[&SubjectId],
    ) -> Result<Vec<(Booking, Option<Business>)>, ChatError> {
        self.store.find_bookings(&caller.app.id, ids).await
    }

    /// Returns how many messages the caller has not read, in all conversations.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn unread_of_all(&self, caller: &Caller) -> Result<u64, ChatError> {
        let Member { app, user, .. } = caller.into();
        let since = self.horizon(app);
        self.store.count_unread(app, user, since).await
    }

    /// Marks one message that somebody sent to the caller, and returns when it was read.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::MessageNotFound`] for one that is unknown, expired, foreign or the
    /// caller's own.
    pub async fn read_one(
        &self,
        caller: &Caller,
        id: MessageId,
        origin: Origin,
    ) -> Result<Timestamp, ChatError> {
        let member = Member::from(caller);
        let sent_at = Timestamp(i64::try_from(id.unix_ms()).unwrap_or(i64::MIN));
        if self
            .horizon(member.app)
            .is_some_and(|since| sent_at < since)
        {
            return Err(ChatError::MessageNotFound);
        }
        let located = self
            .store
            .locate_messages(member.app, member.user, &[id])
            .await?;
        let (conversation, _) = *located.first().ok_or(ChatError::MessageNotFound)?;
        let received = self
            .receive(member, conversation, &[id], Receipt::Read, origin)
            .await?;
        if !received.ids.is_empty() {
            return Ok(received.at);
        }
        // Read before, or of its own.
        let found = self.store.find_message(conversation, id).await?;
        found
            .filter(|message| message.sender != caller.user.id)
            .and_then(|message| message.read_at)
            .ok_or(ChatError::MessageNotFound)
    }
}
