//! Tokens that are good no more before their time.
//!
//! Not here: what a token is and who checks it, which the edges know.

use crate::{AppId, IssuedName, Timestamp, UserId};

/// Which tokens of an app are revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// All that a user was issued up to a moment, and those that do not say when they were.
    User {
        /// The user.
        user: UserId,
        /// The moment; tokens know it to the second.
        issued_until: Timestamp,
    },
    /// All of one sign-in: the claim `sid`.
    Session(IssuedName),
    /// A single one: the claim `jti`.
    Token(IssuedName),
}

/// Tokens of an app that are not accepted any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The app.
    pub app: AppId,
    /// Which tokens.
    pub revoked: Revoked,
    /// When the last of them ends by itself, so that this may be forgotten; `None` is never.
    pub expires_at: Option<Timestamp>,
}

/// Revocations in the order in which they were made, each with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPage {
    /// The generation of the numbers: those of another one mean something else.
    pub epoch: u64,
    /// What was revoked after the number that was asked for.
    pub revocations: Vec<(u64, Revocation)>,
    /// Whether there is more.
    pub more: bool,
}
