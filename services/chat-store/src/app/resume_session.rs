//! A user is back whose client proved where it stood: what did it miss?
//!
//! Answered in full or not at all. The messages are not here: gateways read them in ranges.

use std::collections::HashMap;

use chat_domain::{AppId, ChatError, ConversationId, Receipt, Seq, Timestamp, User};

use super::{App, Member, open_session::Opened};
use crate::{
    ports::{Head, Marked, OwnHead},
    ports_audit::Action,
};

/// Most conversations that a client may name.
const MAX_NAMED: usize = 500;
/// Most messages that are told one by one; with more, a client is better off with a page of history.
const MAX_MISSED: u64 = 5_000;
/// Among how many of a conversation's newest messages receipts are looked for.
const RECEIPTS_DEPTH: u32 = 5_000;
/// Most messages of whose receipts is told.
const MAX_RECEIPTS: u32 = 5_000;

/// Where a client stood.
#[derive(Debug, Clone)]
pub struct Stood {
    /// Up to where it has the messages of conversations.
    pub named: Vec<Head>,
    /// Up to when it has those of all others; `None` when it has none of them.
    pub others_since: Option<Timestamp>,
    /// The generation of these places.
    pub epoch: u64,
    /// The conversations of whose receipts it is told, and since when.
    pub joined: Vec<ConversationId>,
    /// Since when.
    pub receipts_since: Timestamp,
}

/// What a client missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The positions of the user's conversations.
    pub opened: Opened,
    /// Where the client stands and where the conversation does, for each that it named or that has
    /// more for it.
    pub stands: Vec<(ConversationId, Seq, Seq)>,
    /// How many messages lie behind these places.
    pub n_missed: u64,
    /// What was received meanwhile.
    pub receipts: Vec<Marked>,
}

impl App {
    /// Checks that all conversations are still the user's, and returns what was missed in them and
    /// in the others.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::NotParticipant`] when one is not the user's, [`ChatError::TooLarge`]
    /// when too much was missed, [`ChatError::Conflict`] when places mean something else now, and
    /// the errors of [`App::open_session`].
    pub async fn resume_session(
        &self,
        app: &AppId,
        user: &User,
        stood: &Stood,
    ) -> Result<Resumed, ChatError> {
        let resumed = self.resumed(app, user, stood).await;
        let member = Member {
            app,
            user: &user.id,
            device: None,
        };
        self.noting(member, Action::Resume, None, resumed).await
    }

    async fn resumed(&self, app: &AppId, user: &User, stood: &Stood) -> Result<Resumed, ChatError> {
        if MAX_NAMED < stood.named.len() {
            return Err(ChatError::TooLarge("the list of conversations"));
        }
        if self.epoch().await? != stood.epoch {
            return Err(ChatError::Conflict("the places are of another generation"));
        }
        let opened = self.open_session(app, user).await?;
        let mut heads: HashMap<ConversationId, OwnHead> = opened
            .heads
            .iter()
            .map(|head| (head.conversation, *head))
            .collect();
        let unheard: Vec<ConversationId> = stood
            .named
            .iter()
            .map(|(id, _after)| *id)
            .chain(stood.joined.iter().copied())
            .filter(|id| !heads.contains_key(id))
            .collect();
        if !unheard.is_empty() {
            let own = self.store.find_own_heads(app, &user.id, &unheard).await?;
            heads.extend(own.into_iter().map(|head| (head.conversation, head)));
        }
        let others = self.others(&opened, stood).await?;
        let stands = stood.named.iter().chain(&others).map(|(id, after)| {
            let head = heads.get(id).ok_or(ChatError::NotParticipant)?;
            Ok((*id, *after, head.last_seq))
        });
        let stands: Vec<_> = stands.collect::<Result<_, ChatError>>()?;
        let missed = stands.iter();
        let n_missed = missed
            .map(|(_id, after, last)| last.0.saturating_sub(after.0))
            .sum();
        if MAX_MISSED < n_missed {
            return Err(ChatError::TooLarge("what was missed"));
        }
        if stood.joined.iter().any(|id| !heads.contains_key(id)) {
            return Err(ChatError::NotParticipant);
        }
        let (joined, since) = (&stood.joined, stood.receipts_since);
        let receipts = self
            .store
            .list_marked(joined, since, RECEIPTS_DEPTH, MAX_RECEIPTS + 1)
            .await?;
        let of_kind = |kind| {
            let of_kind = receipts.iter().filter(move |one| one.receipt == kind);
            of_kind.map(|one| one.received.ids.len()).sum::<usize>()
        };
        let most = of_kind(Receipt::Read).max(of_kind(Receipt::Delivered));
        if MAX_RECEIPTS as usize <= most {
            return Err(ChatError::TooLarge("what was received"));
        }
        Ok(Resumed {
            opened,
            stands,
            n_missed,
            receipts,
        })
    }

    /// Returns where a client stands in the conversations that it did not name and that have more
    /// for it.
    async fn others(&self, opened: &Opened, stood: &Stood) -> Result<Vec<Head>, ChatError> {
        let named: HashMap<ConversationId, Seq> = stood.named.iter().copied().collect();
        let since = stood.others_since.unwrap_or(Timestamp(i64::MIN));
        let others: Vec<ConversationId> = opened
            .heads
            .iter()
            .filter(|head| since < head.changed_at && !named.contains_key(&head.conversation))
            .map(|head| head.conversation)
            .collect();
        let oldest = opened.heads.last().map(|head| head.changed_at);
        if !opened.complete && oldest.is_some_and(|oldest| since < oldest) {
            return Err(ChatError::TooLarge("the conversations that changed"));
        }
        match stood.others_since {
            _ if others.is_empty() => Ok(Vec::new()),
            None => Ok(others.into_iter().map(|id| (id, Seq(0))).collect()),
            // Times grow with places, within a conversation.
            Some(since) => self.store.list_places(&others, since).await,
        }
    }
}
