//! Looks for messages and people.

use std::time::Duration;

use chat_domain::{ChatError, Conversation, Message, Role, User};
use tokio::time::timeout;

use super::{App, Caller, Member};
use crate::{
    ports::{Depth, Overview},
    ports_audit::Action,
};

/// How far a search of messages looks: docs/adr/0009-search-reads-what-is-recent.md.
const DEPTH: Depth = Depth {
    conversations: 100,
    messages: 2_000,
    scanned: 20_000,
    found: 50,
};
/// How long a search may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most users that a search finds.
const MAX_USERS: u32 = 10;
/// Among how many conversations people are looked for.
const MAX_CONVERSATIONS: u32 = 200;

/// Messages that were found in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Found {
    pub overview: Overview,
    /// Newest first; none when it was found by its people.
    pub messages: Vec<Message>,
}

impl App {
    /// The longest text looked for, in bytes.
    pub const MAX_SEARCH: usize = 200;

    /// Returns the newest messages of the caller's conversations that hold all the words of `text`. It
    /// looks at what is recent.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] past [`Self::MAX_SEARCH`], and [`ChatError::Unavailable`] when it
    /// takes too long.
    pub async fn search_messages(
        &self,
        caller: &Caller,
        text: &str,
    ) -> Result<Vec<Message>, ChatError> {
        let found = self.matching(caller, text).await?;
        let mut shown: Vec<_> = found.iter().map(|message| message.conversation).collect();
        shown.sort_unstable();
        shown.dedup();
        let shown = shown.into_iter().map(|id| {
            let here = found
                .iter()
                .filter(move |message| message.conversation == id);
            (id, here)
        });
        self.showing(caller.into(), Action::Search, shown).await?;
        Ok(found)
    }

    async fn matching(&self, caller: &Caller, text: &str) -> Result<Vec<Message>, ChatError> {
        if Self::MAX_SEARCH < text.len() || text.contains('\0') {
            return Err(ChatError::TooLarge("the text to look for"));
        }
        let Member { app, user, .. } = caller.into();
        let since = self.horizon(app);
        let searching = self.store.search_messages(app, user, text, DEPTH, since);
        timeout(PATIENCE, searching)
            .await
            .map_err(|elapsed| ChatError::Unavailable {
                dependency: "postgres",
                source: elapsed.into(),
            })?
    }

    /// Returns the caller's conversations whose other side goes by a name or e-mail that holds `text`, or
    /// that have messages with it; those that changed last first.
    ///
    /// # Errors
    ///
    /// Those of [`Self::search_messages`].
    pub async fn search_conversations(
        &self,
        caller: &Caller,
        text: &str,
    ) -> Result<Vec<Found>, ChatError> {
        let mut messages = self.matching(caller, text).await?;
        let overviews = self.listed(caller, None, MAX_CONVERSATIONS).await?;
        let wanted = text.to_lowercase();
        let found = overviews.into_iter().filter_map(|overview| {
            let id = overview.conversation.id;
            let here = messages.extract_if(.., |message| message.conversation == id);
            let here: Vec<_> = here.collect();
            let is_found = !here.is_empty() || is_named(&overview.conversation, caller, &wanted);
            is_found.then_some(Found {
                overview,
                messages: here,
            })
        });
        let found: Vec<Found> = found.collect();
        let shown = found.iter().map(|found| {
            let last = found.overview.last.iter();
            (found.overview.conversation.id, last.chain(&found.messages))
        });
        self.showing(caller.into(), Action::Search, shown).await?;
        Ok(found)
    }

    /// Returns users of the caller's app whose e-mail or name holds `text`.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] past [`Self::MAX_SEARCH`].
    pub async fn search_users(
        &self,
        caller: &Caller,
        text: &str,
        role: Option<Role>,
    ) -> Result<Vec<User>, ChatError> {
        if Self::MAX_SEARCH < text.len() || text.contains('\0') {
            return Err(ChatError::TooLarge("q"));
        }
        let app = &caller.app.id;
        self.store.search_users(app, text, role, MAX_USERS).await
    }
}

/// Tells whether the other side goes by a name or an e-mail like that, in lower case.
fn is_named(conversation: &Conversation, caller: &Caller, wanted: &str) -> bool {
    let Some(peer) = conversation.peer_of(&caller.user.id) else {
        return false;
    };
    let holds = |text: &Option<Box<str>>| {
        let text = text.as_deref().unwrap_or_default();
        text.to_lowercase().contains(wanted)
    };
    holds(&peer.name) || holds(&peer.email)
}
