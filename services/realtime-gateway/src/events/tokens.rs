//! Tokens of open sockets: newer ones, and their end.

use std::time::Duration;

use chat_domain::ChatError;
use dialects::{Fact, Failure};

use super::{Chat, Request, answer, count, fail};
use crate::{revocations::end_if_revoked, session::Expired, wire};

/// How often the ends of tokens are looked at.
const TICK: Duration = Duration::from_secs(1);

impl Chat {
    /// Takes a newer token of the same user.
    pub(super) fn refresh_token(&self, request: &Request, token: &str) {
        let session = request.socket.session();
        let principal = match self.parts.verifier.verify(token, service_kit::now()) {
            Ok(principal) => principal,
            Err(error) => {
                count(&request.command, error.code());
                let text = error.to_string();
                let failure = Failure::new(&text, error.code(), Some(&request.name));
                let failed = Fact::Failed(&failure);
                wire::reply(&request.socket, &request.name, request.ack, &failed);
                return;
            }
        };
        if principal.app.id != session.app().id || principal.user.id != session.user().id {
            fail(request, &ChatError::Forbidden("token of another user"));
        } else if self.expiry.extend(&request.socket, &principal) {
            answer(request, &Fact::TokenRefreshed(principal.expires_at));
            // It may have been revoked since it was looked at.
            end_if_revoked(self.parts.verifier.revocations(), &request.socket);
        } else {
            fail(
                request,
                &ChatError::Malformed("the token is not a newer one"),
            );
        }
    }

    /// Tells sockets that their token expired, and sends them away after a grace. Runs until
    /// dropped.
    pub async fn watch_tokens(&self) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            let now = service_kit::now();
            for socket in self.expiry.due(now) {
                match socket.session().expire(now) {
                    Expired::Tell => {
                        let failure = Failure::new("Token expired", "token_expired", None);
                        wire::tell(&socket, &Fact::Failed(&failure));
                        self.expiry.add(&socket);
                    }
                    Expired::Leave => socket.disconnect(),
                    Expired::Renewed => {}
                }
            }
        }
    }
}
