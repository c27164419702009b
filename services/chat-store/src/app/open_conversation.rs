//! Finds or makes the conversation of a booking, and reads conversations.

use std::sync::Arc;

use chat_domain::{
    Booking, ChatError, Conversation, ConversationId, Dialect, Participant, Role, SubjectId,
    Timestamp, User, UserId,
};
use service_kit::{apps::App as AppConfig, now};
use uuid::Uuid;

use super::{App, Caller, Member, window};
use crate::{
    ports::{Head, NewConversation},
    ports_audit::Action,
};

impl App {
    /// Returns the conversation of a booking and its two people, made unless it was there.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::BookingNotFound`]; [`ChatError::NotParticipant`] when the caller is
    /// neither of the two; [`ChatError::Forbidden`] when the booking is of other people; and the
    /// window's errors when the app has one.
    pub async fn open_conversation(
        &self,
        caller: &Caller,
        professional: UserId,
        client: UserId,
        booking: SubjectId,
    ) -> Result<Conversation, ChatError> {
        let opened = self
            .open_subject(caller, professional, client, booking)
            .await;
        self.noting(caller.into(), Action::Open, None, opened).await
    }

    async fn open_subject(
        &self,
        caller: &Caller,
        professional: UserId,
        client: UserId,
        booking: SubjectId,
    ) -> Result<Conversation, ChatError> {
        if caller.user.id != professional && caller.user.id != client {
            return Err(ChatError::NotParticipant);
        }
        let booking = self.booking(&caller.app, &booking).await?;
        let participants = self.participants(&caller.app, &booking).await?;
        let [first, second] = &participants;
        if first.user != professional || second.user != client {
            return Err(ChatError::Forbidden("the booking is of other people"));
        }
        self.open_for(&caller.app, &booking, participants, Some(&caller.user))
            .await
    }

    /// Returns a conversation of the caller's.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`] or [`ChatError::NotParticipant`].
    pub async fn conversation<'a>(
        &self,
        caller: impl Into<Member<'a>> + Send,
        id: ConversationId,
    ) -> Result<Conversation, ChatError> {
        let member = caller.into();
        let found = self.own_conversation(member, id).await;
        self.noting(member, Action::Enter, Some(id), found).await
    }

    /// Returns it as [`Self::conversation`] does, for those who log a refusal themselves.
    pub(super) async fn own_conversation(
        &self,
        member: Member<'_>,
        id: ConversationId,
    ) -> Result<Conversation, ChatError> {
        let conversation = self.existing(member.app, id).await?;
        if conversation.participant(member.user).is_none() {
            return Err(ChatError::NotParticipant);
        }
        Ok(conversation)
    }

    /// Returns the caller's conversations that changed last, newest first.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn list_conversations(
        &self,
        caller: &Caller,
        limit: u32,
    ) -> Result<Vec<Conversation>, ChatError> {
        let member = Member::from(caller);
        self.store
            .list_conversations(member.app, member.user, limit)
            .await
    }

    /// Returns how many messages of a conversation the caller has not read.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`] or [`ChatError::NotParticipant`].
    pub async fn unread(
        &self,
        caller: &Caller,
        conversation: ConversationId,
    ) -> Result<u64, ChatError> {
        let member = Member::from(caller);
        let unread = self
            .store
            .find_unread(
                member.app,
                conversation,
                member.user,
                self.horizon(member.app),
            )
            .await?;
        if let Some(unread) = unread {
            return Ok(unread);
        }
        // Only to tell a stranger from a wrong id.
        self.existing(member.app, conversation).await?;
        let refused = Err(ChatError::NotParticipant);
        self.noting(member, Action::Enter, Some(conversation), refused)
            .await
    }

    /// Returns the positions of conversations, for a gateway that looks for what it missed.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] for more than 500.
    pub async fn heads(
        &self,
        app: &chat_domain::AppId,
        conversations: &[ConversationId],
    ) -> Result<Vec<Head>, ChatError> {
        if conversations.len() > 500 {
            return Err(ChatError::TooLarge("the list of conversations"));
        }
        self.store.list_heads(app, conversations).await
    }

    /// Returns conversations whose first message came after a moment, and when: one page, oldest first,
    /// from behind `after` on. For a gateway that looks for what it missed.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn begun(
        &self,
        app: &chat_domain::AppId,
        after: (Timestamp, ConversationId),
    ) -> Result<Vec<(Timestamp, Conversation)>, ChatError> {
        self.store.list_begun(app, after, 500).await
    }

    /// Returns the conversation of a booking and the caller, made unless it was there.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::BookingNotFound`]; [`ChatError::NotParticipant`] or
    /// [`ChatError::NotOfBooking`] when the caller is neither of the two people of the booking, as the
    /// directory has it now; and the window's errors when the app has one.
    pub async fn open_booking(
        &self,
        caller: &Caller,
        booking: &SubjectId,
    ) -> Result<Conversation, ChatError> {
        self.conversation_of_booking(&caller.app, booking, Some(&caller.user))
            .await
    }

    /// Returns a conversation of the caller's about a booking, if there is one: that with the other
    /// person of the booking now, else one that was.
    pub(super) async fn booking_for_reading(
        &self,
        caller: &Caller,
        id: &SubjectId,
    ) -> Result<Option<Conversation>, ChatError> {
        let Caller { app, user, .. } = caller;
        let sides = self.sides_of_booking(app, id).await?;
        let [first, second] = &sides;
        if sides.iter().any(|side| side.user == user.id) {
            let now = [&first.user, &second.user];
            return self
                .store
                .find_conversation_of(&app.id, Some(id), now)
                .await;
        }
        // The client is who it was: only businesses are given away.
        let once = [&user.id, &second.user];
        let found = self
            .store
            .find_conversation_of(&app.id, Some(id), once)
            .await?;
        found.map(Some).ok_or(ChatError::NotOfBooking)
    }

    /// Returns the conversation that a booking has or gets.
    pub(super) async fn conversation_of_booking(
        &self,
        app: &Arc<AppConfig>,
        id: &SubjectId,
        caller: Option<&User>,
    ) -> Result<Conversation, ChatError> {
        let booking = self.booking(app, id).await?;
        let participants = self.participants(app, &booking).await?;
        self.open_for(app, &booking, participants, caller).await
    }

    /// Returns the conversation that a text names: by its own id, else by that of its booking.
    pub(super) async fn conversation_by_text(
        &self,
        app: &Arc<AppConfig>,
        text: &str,
    ) -> Result<Conversation, ChatError> {
        if let Ok(id) = ConversationId::parse(text)
            && let Some(found) = self.store.find_conversation(&app.id, id).await?
        {
            return Ok(found);
        }
        let booking = SubjectId::new(text)?;
        self.conversation_of_booking(app, &booking, None)
            .await
            .map_err(unknown_either)
    }

    async fn booking(&self, app: &AppConfig, id: &SubjectId) -> Result<Booking, ChatError> {
        self.store
            .find_booking(&app.id, id)
            .await?
            .ok_or(ChatError::BookingNotFound)
    }

    async fn open_for(
        &self,
        app: &Arc<AppConfig>,
        booking: &Booking,
        participants: [Participant; 2],
        caller: Option<&User>,
    ) -> Result<Conversation, ChatError> {
        if let Some(caller) = caller {
            if participants.iter().all(|side| side.user != caller.id) {
                return Err(match app.dialect {
                    Dialect::Booking => ChatError::NotOfBooking,
                    Dialect::Consult | Dialect::Care | Dialect::Clinic => ChatError::NotParticipant,
                });
            }
            if let Some(limits) = &app.policy.time_window {
                window::check(*limits, booking, now())?;
            }
            self.store.add_user(&app.id, caller).await?;
        }
        let new = NewConversation {
            id: ConversationId(Uuid::now_v7()),
            app: app.id.clone(),
            booking: Some(booking.id.clone()),
            participants,
        };
        let mut conversation = self.store.open_conversation(&new).await?;
        self.people.introduce([&mut conversation]).await;
        Ok(conversation)
    }

    /// Returns the two people of a booking as the directory has them now, the professional first.
    pub(super) async fn sides_of_booking(
        &self,
        app: &AppConfig,
        id: &SubjectId,
    ) -> Result<[Participant; 2], ChatError> {
        let booking = self.booking(app, id).await?;
        self.participants(app, &booking).await
    }

    /// Returns the two people of a booking, the professional first.
    async fn participants(
        &self,
        app: &AppConfig,
        booking: &Booking,
    ) -> Result<[Participant; 2], ChatError> {
        let side = |user: &UserId, role| Participant::new(user.clone(), role);
        let (professional, client) = (&booking.professional, &booking.client);
        match app.dialect {
            Dialect::Consult => Ok([
                side(professional, Role::Consultant),
                side(client, Role::Patient),
            ]),
            // Clients book a business; its owner answers.
            Dialect::Booking => {
                let business = self.store.find_business(&app.id, professional).await?;
                let owner = business.ok_or(ChatError::BookingNotFound)?.owner;
                Ok([side(&owner, Role::Business), side(client, Role::Client)])
            }
            // Nobody books there.
            Dialect::Care | Dialect::Clinic => Err(ChatError::BookingNotFound),
        }
    }
}

/// Says of a text that named neither a conversation nor a booking that the conversation is missing.
pub(super) fn unknown_either(error: ChatError) -> ChatError {
    if matches!(error, ChatError::BookingNotFound) {
        return ChatError::ConversationNotFound;
    }
    error
}
