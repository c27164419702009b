//! Who a token speaks for.
//!
//! [`Verifier::verify`] does no I/O: keys are fetched beside it ([`Apps::watch_keys`]). Sessions,
//! expiry of live sockets and rate limits belong to the gateway.

mod claims;
mod revocations;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chat_domain::{Dialect, Timestamp, User};

pub use revocations::{Marks, Revocations};

use crate::apps::{App, Apps};

/// An authenticated user of an app.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The app whose key verified the token.
    pub app: Arc<App>,
    /// The user the token names.
    pub user: User,
    /// The token's `exp`. A live socket is told then, and closed after a grace.
    pub expires_at: Timestamp,
    /// The token's `jti`.
    pub token_id: Option<String>,
    /// What the token is revoked by.
    pub marks: Marks,
}

/// Why a token was refused. Which check failed in detail is nobody's business but the issuer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none. REST: 401.
    #[error("Authentication token required")]
    Missing,
    /// It is malformed, unverifiable, not yet valid, revoked, or names no valid user. REST: 401.
    #[error("Invalid token")]
    Invalid,
    /// It was valid once. REST: 401; the client fetches a new one.
    #[error("Token expired")]
    Expired,
    /// It is valid, but its role is none of the app's. REST: 403; sockets treat it as `Invalid`.
    #[error("Invalid token")]
    Role,
}

impl TokenError {
    /// Returns the stable code: `err.data.code` of a `connect_error`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::Role => "token_invalid",
        }
    }

    /// Returns the message of a `connect_error`, in the words of the dialect where it is known.
    #[must_use]
    pub const fn message(self, dialect: Option<Dialect>) -> &'static str {
        match (dialect, self) {
            (Some(Dialect::Booking), _) => "Authentication error",
            (_, Self::Missing) => "Authentication token required",
            (_, Self::Invalid) => "Invalid token",
            (_, Self::Expired) => "Token expired",
            (_, Self::Role) => "Invalid token",
        }
    }
}

/// Verifies tokens against the keys of all apps. Clones share the keys and the revocations.
#[derive(Debug, Clone)]
pub struct Verifier {
    apps: Arc<Apps>,
    revocations: Arc<Revocations>,
}

impl Verifier {
    /// Returns a verifier of the tokens of `apps`.
    #[must_use]
    pub fn new(apps: Arc<Apps>) -> Self {
        Self {
            apps,
            revocations: Arc::default(),
        }
    }

    /// Returns what is revoked; whoever hears of more adds it here.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Returns the apps whose tokens are verified.
    #[must_use]
    pub fn apps(&self) -> &Arc<Apps> {
        &self.apps
    }

    /// Finds out whom `token`, with or without `Bearer ` in front, speaks for at `now`.
    ///
    /// The app is the one whose key verifies the token: keys with the token's `kid` are tried first,
    /// then those of the app that expects its `iss`, then the rest. A key that has a `kid` never
    /// verifies a token that names another. Headers that point to keys (`jku`, `x5u`, `jwk`) are
    /// ignored.
    ///
    /// # Errors
    ///
    /// Returns a [`TokenError`]; the caller answers with its code and message.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let token = token::Token::parse(token)?;
        let app = token.find_app(&self.apps)?;
        claims::check_times(token.claims(), now)?;
        let principal = claims::principal(app, token.claims(), &self.revocations)?;
        if self.revocations.cover(principal.marks) {
            return Err(TokenError::Invalid);
        }
        Ok(principal)
    }

    /// Returns how the clients of the app talk whose key verifies `token`, whether it is still good
    /// or not.
    #[must_use]
    pub fn dialect(&self, token: &str) -> Option<Dialect> {
        let token = token::Token::parse(token).ok()?;
        let app = token.find_app(&self.apps).ok()?;
        Some(app.dialect)
    }
}
