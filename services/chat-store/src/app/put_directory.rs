//! Takes in what other services publish: users, bookings, businesses, associations.
//!
//! Every write is idempotent. With a `version` the last one wins and an older one changes nothing;
//! without one it always writes. What other services tell is logged, by ids alone. The app must exist; [`ChatError::Malformed`] says that it does not.

use chat_domain::{AppId, Booking, Business, ChatError, ClientKey, Content, User, UserId};

use super::{App, Stored, Target, append_message::split};
use crate::{
    ports::{Entry, Key, Origin},
    ports_audit::Action,
};

impl App {
    /// Enters a user into the directory.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::UnknownRole`] for a role of another dialect.
    pub async fn put_user(
        &self,
        app: &AppId,
        user: User,
        version: Option<i64>,
    ) -> Result<(), ChatError> {
        if !user.role.belongs_to(self.app(app)?.dialect) {
            return Err(ChatError::UnknownRole);
        }
        self.store.put_user(app, &user, version).await?;
        self.told(app, Action::PutUser, Some(&user.id), None).await
    }

    /// Enters a booking.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for an unknown app.
    pub async fn put_booking(
        &self,
        app: &AppId,
        booking: Booking,
        version: Option<i64>,
    ) -> Result<(), ChatError> {
        self.app(app)?;
        self.store.put_booking(app, &booking, version).await?;
        let detail = format!(
            "booking={} professional={}",
            booking.id, booking.professional
        );
        let client = Some(&booking.client);
        self.told(app, Action::PutBooking, client, Some(detail))
            .await
    }

    /// Enters a business.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for an unknown app.
    pub async fn put_business(
        &self,
        app: &AppId,
        business: Business,
        version: Option<i64>,
    ) -> Result<(), ChatError> {
        self.app(app)?;
        self.store.put_business(app, &business, version).await?;
        let (owner, detail) = (&business.owner, format!("business={}", business.id));
        self.told(app, Action::PutBusiness, Some(owner), Some(detail))
            .await
    }

    /// Lets a doctor and a patient write to each other.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for an unknown app.
    pub async fn put_association(
        &self,
        app: &AppId,
        doctor: UserId,
        patient: UserId,
        version: Option<i64>,
    ) -> Result<(), ChatError> {
        self.app(app)?;
        self.store
            .put_association(app, &doctor, &patient, version)
            .await?;
        let detail = format!("doctor={doctor}");
        self.told(app, Action::Associate, Some(&patient), Some(detail))
            .await
    }

    /// Ends an association. What the two wrote stays theirs to read.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for an unknown app.
    pub async fn remove_association(
        &self,
        app: &AppId,
        doctor: UserId,
        patient: UserId,
        version: Option<i64>,
    ) -> Result<(), ChatError> {
        self.app(app)?;
        self.store
            .remove_association(app, &doctor, &patient, version)
            .await?;
        let detail = format!("doctor={doctor}");
        self.told(app, Action::Dissociate, Some(&patient), Some(detail))
            .await
    }

    /// Writes a system message into a conversation, in the name of its professional side.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`] or [`ChatError::BookingNotFound`] for an unknown
    /// `target`, [`ChatError::KeyReused`], and what [`Content::system`] refuses.
    pub async fn post_system_message(
        &self,
        app: &AppId,
        target: Target,
        text: &str,
        key: Option<ClientKey>,
    ) -> Result<Stored, ChatError> {
        let config = self.app(app)?;
        let content = Content::system(text)?;
        let conversation = match target {
            Target::Conversation(id) => self.existing(app, id).await?,
            Target::Booking(booking) => {
                self.conversation_of_booking(config, &booking, None).await?
            }
            Target::Either(text) => self.conversation_by_text(config, &text).await?,
            // Of two users, the system is neither.
            Target::Peer(_) => return Err(ChatError::ConversationNotFound),
        };
        let [professional, _] = &conversation.participants;
        let entry = Entry {
            app: app.clone(),
            conversation: conversation.id,
            sender: professional.user.clone(),
            // Apart from the keys of the professional's own messages.
            key: key.map_or_else(Key::fresh, |key| {
                Key::Made(format!("system:{}", key.as_str()))
            }),
            content,
        };
        let answer = self.batcher.append(vec![entry], Origin::default()).await?;
        let (_, mut results) = split(answer.outcomes)?;
        results
            .pop()
            .unwrap_or(Err(ChatError::ConversationNotFound))
    }
}
