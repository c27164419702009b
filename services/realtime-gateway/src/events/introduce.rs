//! Clients without a token that say who they are, where an app lets them (`identity = "declared"`).
//!
//! What they say is believed. Nothing here applies to an app that does not ask for it, or to a client
//! with a token.

use std::sync::Arc;

use chat_domain::{ChatError, Timestamp, UserId};
use dialects::Failure;
use service_kit::{
    apps::App,
    auth::{Principal, TokenError},
};
use socketio_protocol::Frame;

use super::{Chat, connect::key_of};
use crate::{
    session::{Session, declaring, terms},
    transport::{ConnectRequest, Event},
    wire,
};

/// What somebody hears who does something before saying who it is.
const NOT_IDENTIFIED: &str = "User not identified";

impl Chat {
    /// Lets a stranger in whom the directory knows by what it says.
    pub(super) async fn identify_stranger(
        &self,
        request: &ConnectRequest,
        event: &Event,
    ) -> Result<Session, Vec<Frame>> {
        let apps = self.parts.verifier.apps();
        let Some(app) = declaring(apps, request) else {
            return Err(Vec::new());
        };
        let name = Some(&*event.name);
        let refuse = |failure: &Failure<'_>| wire::refusal(terms(app), event, failure);
        let said = dialects::declared(app.dialect, &event.name, event.args.first());
        let id = match said {
            Ok(Some(id)) => id,
            Ok(None) => return Err(refuse(&Failure::new(NOT_IDENTIFIED, "unauthorized", name))),
            Err(rejection) => return Err(refuse(&(&rejection).into())),
        };
        let principal = self.believe(app, &id).await;
        let principal =
            principal.map_err(|error| refuse(&Failure::of(app.dialect, &error, name)))?;
        if self.parts.verifier.revocations().cover(principal.marks) {
            let error = TokenError::Invalid;
            let failure = Failure::new(error.message(Some(app.dialect)), error.code(), name);
            return Err(refuse(&failure));
        }
        if let Err(after) = self.parts.quotas.rested(&key_of(&principal)) {
            let error = ChatError::rate_limited(after);
            return Err(refuse(&Failure::of(app.dialect, &error, name)));
        }
        Ok(self.enter(principal, request, false).await.session)
    }

    async fn believe(&self, app: &Arc<App>, id: &UserId) -> Result<Principal, ChatError> {
        let user = self.parts.store.find_user(&app.id, id).await?;
        let revocations = self.parts.verifier.revocations();
        Ok(Principal {
            marks: revocations.marks_of(&app.id, &user.id),
            user,
            app: Arc::clone(app),
            // There is nothing that would end.
            expires_at: Timestamp(i64::MAX),
            token_id: None,
        })
    }
}
