//! What the use cases need to show a user all of its conversations at a glance, and to search them.
//!
//! `since` is where an app's retention begins: what was sent before is not there.

use chat_domain::{AppId, Conversation, ConversationId, Message, Timestamp, UserId};

use crate::ports::Answer;

/// A conversation as one of its sides sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// Its newest message, if that is still there.
    pub last: Option<Message>,
    /// How many messages the user has not read.
    pub unread: u64,
}

/// Which of a user's conversations are asked for. None of them is without messages.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Only those of bookings of this business.
    pub business: Option<&'a UserId>,
    /// At most so many, those that changed last.
    pub limit: u32,
    /// See the module.
    pub since: Option<Timestamp>,
}

/// How far a search looks.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    /// The conversations that changed last.
    pub conversations: u32,
    /// The newest messages of each.
    pub messages: u32,
    /// Most messages looked at.
    pub scanned: u32,
    /// Most messages found.
    pub found: u32,
}

/// Reads across a user's conversations.
pub trait Overviews: Send + Sync {
    /// Returns conversations, those that changed last first.
    fn list_overviews<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        wanted: Wanted<'a>,
    ) -> Answer<'a, Vec<Overview>>;

    /// Returns how many messages the user has not read, in all conversations.
    fn count_unread<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        since: Option<Timestamp>,
    ) -> Answer<'a, u64>;

    /// Returns messages of the user's conversations that hold all the words of `text`, newest first.
    fn search_messages<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        text: &'a str,
        depth: Depth,
        since: Option<Timestamp>,
    ) -> Answer<'a, Vec<Message>>;
}

/// Deletes messages that were sent before a moment.
pub trait Shredder: Send + Sync {
    /// Deletes about `limit` messages of an app, with everything that belongs to them, from the
    /// conversation after `after` on. Returns how many, and after which conversation to go on if there
    /// may be more.
    fn expire<'a>(
        &'a self,
        app: &'a AppId,
        before: Timestamp,
        after: ConversationId,
        limit: u32,
    ) -> Answer<'a, (u64, Option<ConversationId>)>;

    /// Drops the partitions before that moment that nothing is left in, of whatever app; returns how
    /// many.
    fn drop_partitions(&self, before: Timestamp) -> Answer<'_, u32>;
}
