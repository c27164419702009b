//! Tells other services of messages and conversations, and of messages whose readers have no device.
//!
//! What was committed is told for certain: it leaves the outbox, or the queue that it waits in, only
//! when the stream has it. Nobody who sends or reads waits for any of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chat_domain::{AppId, ChatError, Conversation, Message, MessageKind, UserId};
use tokio::time::timeout;

use super::sweep_outbox::read;
use crate::{
    metrics::Metric,
    ports::{Answer, Event, Fact, Sink, Store},
    ports_out::{NewMessages, OutDue, OutEvent, OutFact, OutQueue, OutStream},
    ports_presence::PresenceState,
};

/// Rows of the queue taken at once.
const ROUND: u32 = 64;
/// Most messages in one event.
const MAX_MESSAGES: usize = 100;
/// How long may be asked who has a device; then everybody counts as having none.
const ASK_TIMEOUT: Duration = Duration::from_millis(200);
/// How long the stream may take for what was just committed; then it goes to the queue.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How long it may take for what waited there.
const LATER: Duration = Duration::from_secs(2);

/// Tells other services. A clone is the same.
#[derive(Clone)]
pub struct ServiceTeller {
    store: Arc<dyn Store>,
    presence: Arc<dyn PresenceState>,
    stream: Arc<dyn OutStream>,
}

/// The messages of a transaction, in order.
type Batch<'a> = Vec<(&'a Conversation, &'a Message)>;

impl ServiceTeller {
    /// Puts it on its ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        presence: Arc<dyn PresenceState>,
        stream: Arc<dyn OutStream>,
    ) -> Self {
        Self {
            store,
            presence,
            stream,
        }
    }

    /// Tells one round of what waits in the queue; returns whether there may be more at once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database or the stream is; what was taken comes
    /// again after some seconds.
    pub async fn sweep(&self, queue: &dyn OutQueue) -> Result<bool, ChatError> {
        let due = queue.claim_out(ROUND).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let mut events = Vec::new();
        for OutDue { fact, .. } in &due {
            self.describe(fact, &mut events).await?;
        }
        self.stream.publish(&events, LATER).await?;
        let ids: Vec<_> = due.iter().map(|due| due.id).collect();
        queue.remove_out(&ids).await?;
        Ok(due.len() == ROUND as usize)
    }

    /// Adds the events of a fact. Of what was deleted meanwhile there is nothing to tell.
    async fn describe(&self, fact: &OutFact, events: &mut Vec<OutEvent>) -> Result<(), ChatError> {
        match fact {
            OutFact::Appended(ranges) => {
                let appended = read(self.store.as_ref(), ranges, 0).await?;
                events.extend(self.of_messages(&[batch(&appended)]).await);
            }
            OutFact::Read {
                app,
                conversation,
                reader,
                received,
            } => events.extend(OutEvent::message_read(app, *conversation, reader, received)),
            OutFact::Opened { app, conversation } => {
                let found = self.store.find_conversation(app, *conversation).await?;
                events.extend(found.as_ref().map(OutEvent::conversation_created));
            }
        }
        Ok(())
    }

    /// Returns the events of batches: what was stored, and who has to be notified of it. The same
    /// batch has the same events whenever it comes.
    async fn of_messages(&self, batches: &[Batch<'_>]) -> Vec<OutEvent> {
        let mut events = Vec::new();
        let mut addressed: BTreeMap<&AppId, Vec<Addressed<'_>>> = BTreeMap::new();
        for (place, batch) in batches.iter().enumerate() {
            let mut by_app: BTreeMap<&AppId, Batch<'_>> = BTreeMap::new();
            for (conversation, message) in batch {
                let app = &conversation.app;
                by_app.entry(app).or_default().push((conversation, message));
                let of_app = addressed.entry(app).or_default();
                of_app.extend(Addressed::of(place, conversation, message));
            }
            for (app, messages) in &by_app {
                let parts = messages.chunks(MAX_MESSAGES);
                events.extend(parts.filter_map(|part| OutEvent::message_created(app, part)));
            }
        }
        for (app, addressed) in addressed {
            events.extend(self.pushes(app, addressed).await);
        }
        events
    }

    /// Returns a push event for each user without a device, of each conversation in each batch.
    async fn pushes(&self, app: &AppId, addressed: Vec<Addressed<'_>>) -> Vec<OutEvent> {
        let users: BTreeSet<&UserId> = addressed.iter().map(|one| one.user).collect();
        let absent = self.absent(app, users).await;
        let mut newest: BTreeMap<_, (Addressed<'_>, usize)> = BTreeMap::new();
        for one in addressed {
            if absent.contains(one.user) {
                let of_user = (one.batch, one.user, one.message.conversation);
                let (last, n_messages) = newest.entry(of_user).or_insert((one, 0));
                *last = one;
                *n_messages += 1;
            }
        }
        if newest.is_empty() {
            return Vec::new();
        }
        let names = self.names(app, newest.values().map(|(one, _)| one)).await;
        newest
            .into_values()
            .map(|(one, n_messages)| {
                let name = names.get(&one.message.sender).map(String::as_str);
                let is_system = one.message.content.kind() == MessageKind::System;
                let push = NewMessages {
                    user: one.user,
                    newest: one.message,
                    sender_name: name.filter(|_| !is_system),
                    n_messages,
                };
                OutEvent::push_message(app, &push)
            })
            .collect()
    }

    /// Returns those of the users who have no device; all of them if nobody knows.
    async fn absent(&self, app: &AppId, users: BTreeSet<&UserId>) -> HashSet<UserId> {
        let users: Vec<UserId> = users.into_iter().cloned().collect();
        match timeout(ASK_TIMEOUT, self.presence.absent(app, &users)).await {
            Ok(Ok(absent)) => absent.into_iter().collect(),
            Ok(Err(_)) | Err(_) => users.into_iter().collect(),
        }
    }

    /// Returns the names of those who sent something; a push does without rather than fail.
    async fn names<'a>(
        &self,
        app: &AppId,
        addressed: impl Iterator<Item = &'a Addressed<'a>>,
    ) -> HashMap<UserId, String> {
        let senders: BTreeSet<&UserId> = addressed.map(|one| &one.message.sender).collect();
        let senders: Vec<&UserId> = senders.into_iter().collect();
        let known = self.store.find_users(app, &senders).await;
        let known = known.unwrap_or_default().into_iter();
        known
            .filter_map(|user| Some((user.id, user.name?)))
            .collect()
    }
}

/// A message, one of those whom it is for, and the batch it came with.
#[derive(Clone, Copy)]
struct Addressed<'a> {
    batch: usize,
    message: &'a Message,
    user: &'a UserId,
}

impl<'a> Addressed<'a> {
    /// Returns whom a message is for: the other side, or both when the system wrote it. Who has it
    /// already is not notified.
    fn of(
        batch: usize,
        conversation: &'a Conversation,
        message: &'a Message,
    ) -> impl Iterator<Item = Self> {
        let is_new = message.delivered_at.is_none() && message.read_at.is_none();
        let is_system = message.content.kind() == MessageKind::System;
        conversation
            .participants
            .iter()
            .map(|side| &side.user)
            .filter(move |user| is_new && (is_system || **user != message.sender))
            .map(move |user| Self {
                batch,
                message,
                user,
            })
    }
}

/// Returns the messages among events, in an order that does not depend on how they came.
fn batch(events: &[Event]) -> Batch<'_> {
    let mut batch: Batch<'_> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::MessageAppended(conversation, message) => Some((conversation.as_ref(), message)),
            Fact::MessagesReceived { .. } => None,
        })
        .collect();
    batch.sort_unstable_by_key(|(conversation, message)| (conversation.id, message.seq));
    batch
}

/// Takes the events of transactions. What it does not take has to go to the queue.
impl Sink<Vec<Event>> for ServiceTeller {
    fn take<'a>(&'a self, transactions: &'a [Vec<Event>]) -> Answer<'a, ()> {
        Box::pin(async move {
            if !self.stream.is_ready() {
                Metric::OutLate.add(transactions.len());
                return Err(ChatError::Unavailable {
                    dependency: "jetstream",
                    source: "it took nothing lately".into(),
                });
            }
            let batches: Vec<_> = transactions.iter().map(|events| batch(events)).collect();
            let events = self.of_messages(&batches).await;
            self.stream
                .publish(&events, AT_ONCE)
                .await
                .inspect_err(|_| Metric::OutLate.add(transactions.len()))
        })
    }
}
