//! Keeping and erasing for reasons that no user has: holds, and users who have to go.
//!
//! Not here: who may ask for it, and that it is logged.

use chat_domain::{AppId, AttachmentId, ConversationId, Message, Seq, Timestamp, UserId};

use crate::{ports::Answer, ports_audit::Link};

/// What a hold keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// All conversations of a user.
    User(UserId),
    /// One conversation.
    Conversation(ConversationId),
}

/// Something that is kept whatever its age.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Hold {
    pub held: Held,
    pub reason: String,
    pub placed_by: String,
    pub placed_at: Timestamp,
}

/// An erasure: what a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What stands for the user from now on.
    pub pseudonym: String,
    /// How many messages of the user were erased.
    pub messages: u64,
    /// In how many conversations.
    pub conversations: u64,
    /// How many files that it had attached were removed.
    pub files: u64,
    /// When its tokens were revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// When nothing was left, and where the log of accesses says so.
    pub finished: Option<(Timestamp, Link)>,
}

/// How a step of an erasure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more.
    More,
    /// Nothing is left.
    Done,
    /// Somebody asked for the rest to be kept.
    Held,
}

/// Keeps, erases and hands out.
pub trait Records: Send + Sync {
    /// Keeps something; a hold that is there gets the new reason.
    fn place_hold<'a>(
        &'a self,
        app: &'a AppId,
        held: &'a Held,
        reason: &'a str,
        by: &'a str,
    ) -> Answer<'a, ()>;

    /// Keeps it no longer; returns whether there was a hold.
    fn release_hold<'a>(&'a self, app: &'a AppId, held: &'a Held) -> Answer<'a, bool>;

    /// Returns at most `limit` holds of an app, oldest first.
    fn list_holds<'a>(&'a self, app: &'a AppId, limit: u32) -> Answer<'a, Vec<Hold>>;

    /// Finds the erasure of a user, or begins one; `None` if something of it is held.
    fn begin_erasure<'a>(&'a self, app: &'a AppId, user: &'a UserId)
    -> Answer<'a, Option<Erasure>>;

    /// Notes that the user's tokens are revoked; the first time counts.
    fn note_revoked<'a>(&'a self, pseudonym: &'a str) -> Answer<'a, ()>;

    /// Returns at most `limit` files that a user attached, whether or not a message names them; `None`
    /// if one of these is held.
    fn list_files_of<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Option<Vec<AttachmentId>>>;

    /// Forgets files of an erased user whose bytes are gone.
    fn erase_files<'a>(&'a self, pseudonym: &'a str, ids: &'a [AttachmentId]) -> Answer<'a, ()>;

    /// Erases about `limit` messages in one conversation, and in the last step the user itself.
    fn erase_step<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        pseudonym: &'a str,
        limit: u32,
    ) -> Answer<'a, Step>;

    /// Returns an erasure as it is now.
    fn find_erasure<'a>(&'a self, pseudonym: &'a str) -> Answer<'a, Option<Erasure>>;

    /// Notes that nothing is left, and where the log says so; the first time counts.
    fn finish_erasure<'a>(&'a self, pseudonym: &'a str, said_at: Link) -> Answer<'a, ()>;

    /// Returns messages after a place, oldest first, also those that have expired and are still there.
    fn list_kept(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: u32,
    ) -> Answer<'_, Vec<Message>>;
}
