//! Appends messages to a conversation. What is returned as stored is durable.

use std::sync::Arc;

use chat_domain::{
    ChatError, Content, Conversation, ConversationId, Dialect, Message, Subject, SubjectId, UserId,
};

use service_kit::now;

use super::{App, Caller, open_conversation::unknown_either, window};
use crate::{
    ports::{Entry, Key, Origin, Outcome},
    ports_audit::Action,
};

/// Where a message goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// To this conversation.
    Conversation(ConversationId),
    /// To the conversation of this booking, made unless it was there.
    Booking(SubjectId),
    /// To the conversation with this user, made unless it was there.
    Peer(UserId),
    /// As a client of the app's dialect spelled it: the other user where conversations are of pairs;
    /// else a conversation if there is one of that id, or a booking.
    Either(String),
}

/// A message to be appended. Its content was checked against the app's limits.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct NewMessage {
    pub key: Key,
    pub content: Content,
}

/// A durable message.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The message.
    pub message: Message,
    /// It had been stored before, under the same key.
    pub duplicate: bool,
}

/// What became of an append.
#[derive(Debug)]
pub struct Appended {
    /// Where the messages went.
    pub conversation: Conversation,
    /// One per message, in order. [`ChatError::KeyReused`] when its key belongs to another message,
    /// and what is wrong with its attachment.
    pub results: Vec<Result<Stored, ChatError>>,
    /// The generation of the sequence numbers.
    pub epoch: u64,
}

impl App {
    /// Most messages in one append.
    pub const MAX_APPEND: usize = 64;

    /// Appends messages of one sender to one conversation, in order, and tells the participants.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`], [`ChatError::BookingNotFound`] and
    /// [`ChatError::NotParticipant`]; those of [`Self::open_pair`] and [`Self::open_booking`]; those of the window when the app has one;
    /// [`ChatError::TooLarge`] past [`Self::MAX_APPEND`]; and [`ChatError::Unavailable`] when too much
    /// is waiting or the outcome is unknown: the same append with the same keys is safe then.
    pub async fn append(
        &self,
        caller: &Caller,
        target: Target,
        items: Vec<NewMessage>,
        origin: Origin,
    ) -> Result<Appended, ChatError> {
        let place = match &target {
            Target::Conversation(id) => Some(*id),
            Target::Either(text) => ConversationId::parse(text).ok(),
            Target::Booking(_) | Target::Peer(_) => None,
        };
        let appended = self.append_anywhere(caller, target, items, origin).await;
        self.noting(caller.into(), Action::Send, place, appended)
            .await
    }

    async fn append_anywhere(
        &self,
        caller: &Caller,
        target: Target,
        items: Vec<NewMessage>,
        origin: Origin,
    ) -> Result<Appended, ChatError> {
        match items.len() {
            0 => return Err(ChatError::Malformed("no message")),
            1..=Self::MAX_APPEND => {}
            _ => return Err(ChatError::TooLarge("the list of messages")),
        }
        match caller.app.dialect {
            Dialect::Consult => self.append_of_consult(caller, target, items, origin).await,
            Dialect::Care | Dialect::Clinic | Dialect::Booking => {
                let conversation = self.open_target(caller, target).await?;
                self.write(caller, conversation.id, items, origin).await
            }
        }
    }

    /// Returns the conversation that a message goes to, if the directory lets the caller write there
    /// now.
    pub(super) async fn open_target(
        &self,
        caller: &Caller,
        target: Target,
    ) -> Result<Conversation, ChatError> {
        let dialect = caller.app.dialect;
        match target {
            Target::Peer(peer) => self.open_pair(caller, &peer).await,
            Target::Booking(booking) => self.open_booking(caller, &booking).await,
            Target::Conversation(id) => {
                let conversation = self.own_conversation(caller.into(), id).await?;
                match (&conversation.subject, conversation.peer_of(&caller.user.id)) {
                    (Subject::Booking(booking), _) => self.open_booking(caller, booking).await,
                    (Subject::Pair, Some(peer)) => self.open_pair(caller, &peer.user).await,
                    (Subject::Pair, None) => Err(ChatError::NotParticipant),
                }
            }
            Target::Either(text) if dialect == Dialect::Booking => {
                if let Ok(id) = ConversationId::parse(&text)
                    && let Some(found) = self.store.find_conversation(&caller.app.id, id).await?
                    && let Subject::Booking(booking) = &found.subject
                {
                    return self.open_booking(caller, booking).await;
                }
                self.open_booking(caller, &dialect.booking_id(&text)?).await
            }
            Target::Either(text) => self.open_pair(caller, &dialect.user_id(&text)?).await,
        }
    }

    async fn append_of_consult(
        &self,
        caller: &Caller,
        target: Target,
        items: Vec<NewMessage>,
        origin: Origin,
    ) -> Result<Appended, ChatError> {
        let booking = match target {
            Target::Conversation(id) => return self.append_to(caller, id, items, origin).await,
            Target::Booking(booking) => booking,
            Target::Peer(_) => {
                return Err(ChatError::Malformed("people of this app meet by booking"));
            }
            Target::Either(text) => {
                if let Ok(id) = ConversationId::parse(&text) {
                    // Nearly always it is one, so no query asks first.
                    let outcome = self
                        .append_to(caller, id, items.clone(), origin.clone())
                        .await;
                    if !matches!(outcome, Err(ChatError::ConversationNotFound)) {
                        return outcome;
                    }
                }
                let booking = SubjectId::new(&text)?;
                return self
                    .append_for_booking(caller, &booking, items, origin)
                    .await
                    .map_err(unknown_either);
            }
        };
        self.append_for_booking(caller, &booking, items, origin)
            .await
    }

    async fn append_for_booking(
        &self,
        caller: &Caller,
        booking: &SubjectId,
        items: Vec<NewMessage>,
        origin: Origin,
    ) -> Result<Appended, ChatError> {
        let conversation = self
            .conversation_of_booking(&caller.app, booking, Some(&caller.user))
            .await?;
        self.write(caller, conversation.id, items, origin).await
    }

    async fn append_to(
        &self,
        caller: &Caller,
        id: ConversationId,
        items: Vec<NewMessage>,
        origin: Origin,
    ) -> Result<Appended, ChatError> {
        if let Some(limits) = &caller.app.policy.time_window {
            let conversation = self.conversation(caller, id).await?;
            if let chat_domain::Subject::Booking(booking) = &conversation.subject
                && let Some(booking) = self.store.find_booking(&caller.app.id, booking).await?
            {
                window::check(*limits, &booking, now())?;
            }
        }
        self.write(caller, id, items, origin).await
    }

    async fn write(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        items: Vec<NewMessage>,
        origin: Origin,
    ) -> Result<Appended, ChatError> {
        let mut entries = Vec::with_capacity(items.len());
        let mut checked = Vec::with_capacity(items.len());
        for NewMessage { key, content } in items {
            match self.with_file(caller, conversation, content).await {
                Ok(content) => {
                    entries.push(Entry {
                        app: caller.app.id.clone(),
                        conversation,
                        sender: caller.user.id.clone(),
                        key,
                        content,
                    });
                    checked.push(Ok(()));
                }
                Err(error) => checked.push(Err(error)),
            }
        }
        if entries.is_empty() {
            let wrong = checked.into_iter().find_map(Result::err);
            return Err(wrong.unwrap_or(ChatError::Malformed("no message")));
        }
        let answer = self.batcher.append(entries, origin).await?;
        let epoch = answer.epoch;
        let (conversation, stored) = split(answer.outcomes)?;
        let mut stored = stored.into_iter();
        let results = checked.into_iter().filter_map(|checked| match checked {
            Ok(()) => stored.next(),
            Err(error) => Some(Err(error)),
        });
        Ok(Appended {
            conversation: Arc::unwrap_or_clone(conversation),
            results: results.collect(),
            epoch,
        })
    }
}

/// Where messages went, and what became of each.
type Results = (Arc<Conversation>, Vec<Result<Stored, ChatError>>);

/// Takes the outcomes of one sender and one conversation apart.
///
/// # Errors
///
/// Returns the first failure when no message came far enough to know the conversation.
pub(super) fn split(outcomes: Vec<Result<Outcome, ChatError>>) -> Result<Results, ChatError> {
    let mut known = None;
    let results: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| match outcome? {
            Outcome::Stored {
                conversation,
                message,
                duplicate,
            } => {
                known = Some(conversation);
                Ok(Stored { message, duplicate })
            }
            Outcome::KeyReused(conversation) => {
                known = Some(conversation);
                Err(ChatError::KeyReused)
            }
            Outcome::NotParticipant => Err(ChatError::NotParticipant),
            Outcome::ConversationNotFound => Err(ChatError::ConversationNotFound),
        })
        .collect();
    match known {
        Some(conversation) => Ok((conversation, results)),
        None => Err(results
            .into_iter()
            .find_map(Result::err)
            .unwrap_or(ChatError::ConversationNotFound)),
    }
}
