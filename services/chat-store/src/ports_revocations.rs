//! What the use cases need in order to revoke tokens.
//!
//! Not here: who checks tokens, which are the edges.

use chat_domain::Revocation;

use crate::ports::Answer;

/// What was revoked, in order.
pub trait RevocationLog: Send + Sync {
    /// Adds a revocation, or extends the one of the same tokens.
    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, ()>;

    /// Returns what was revoked after number `after`, at most `limit`, each with its number. Nothing
    /// is ever added before a number that was returned.
    fn list_revocations(&self, after: u64, limit: u32) -> Answer<'_, Vec<(u64, Revocation)>>;

    /// Deletes those of tokens that have ended by themselves, and returns how many.
    fn prune_revocations(&self) -> Answer<'_, u64>;
}
