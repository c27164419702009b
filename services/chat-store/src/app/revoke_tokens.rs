//! Ends tokens before their time: those of a user, of a sign-in, or a single one.
//!
//! Not here: checking them, which every edge does by itself ([`service_kit::auth::Revocations`]).

use chat_domain::{AppId, ChatError, Revocation, RevocationPage, Revoked, Timestamp};
use service_kit::auth::Revocations;

use super::App;
use crate::ports_audit::Action;

/// How many revocations are read at once.
const PAGE: u32 = 1_000;

impl App {
    /// Revokes tokens of an app. Every replica knows within a second: gateways are told, stores look.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for an unknown app, and [`ChatError::Unavailable`] while the
    /// database is: nothing was revoked then.
    pub async fn revoke(
        &self,
        app: &AppId,
        revoked: Revoked,
        expires_at: Option<Timestamp>,
    ) -> Result<(), ChatError> {
        let revocation = Revocation {
            app: self.app(app)?.id.clone(),
            revoked,
            expires_at,
        };
        self.store.revoke(&revocation).await?;
        self.events.revoked().await;
        let (user, name) = match &revocation.revoked {
            Revoked::User { user, .. } => (Some(user), None),
            Revoked::Session(name) => (None, Some(format!("session={}", name.as_str()))),
            Revoked::Token(name) => (None, Some(format!("token={}", name.as_str()))),
        };
        self.told(app, Action::Revoke, user, name).await
    }

    /// Returns what was revoked after a number.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn revocations(&self, after: u64) -> Result<RevocationPage, ChatError> {
        let epoch = self.store.epoch().await?;
        let revocations = self.store.list_revocations(after, PAGE).await?;
        Ok(RevocationPage {
            epoch,
            more: revocations.len() == PAGE as usize,
            revocations,
        })
    }

    /// Adds to `known` everything that was revoked and is not in there yet.
    ///
    /// # Errors
    ///
    /// As [`Self::revocations`].
    pub async fn learn_revocations(&self, known: &Revocations) -> Result<(), ChatError> {
        while known.take(&self.revocations(known.last()).await?) {}
        Ok(())
    }
}
