//! Coming and going.
//!
//! A client that could not connect because the broker or the store is away would give up for good,
//! so it is let in and told later what it missed.

use std::{sync::Arc, time::Duration};

use chat_domain::{ChatError, User};
use dialects::consult;
use tokio::time::timeout;

use super::Chat;
use crate::{
    delivery::Delivery,
    metrics::Metric,
    random,
    registry::{Positions, Registry, UserKey},
    session::{ChatSocket, Refusal, Session, authenticate},
    store::Store,
    transport::{Accepted, Class, ConnectRequest, Reason, Refused},
    wire,
};

/// How long a connecting client waits for the confirmation of its subscription.
const CONFIRM: Duration = Duration::from_secs(1);
/// The pause before the first and the longest before a further attempt to catch up.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

impl Chat {
    /// Lets a client in: token, then interest in the user's events, then the user's positions.
    pub(super) async fn connect_socket(
        &self,
        request: &ConnectRequest,
    ) -> Result<Accepted<Session>, Refused> {
        let count = |outcome: &'static str| {
            metrics::counter!(Metric::Connects.name(), "outcome" => outcome).increment(1);
        };
        let now = service_kit::now();
        let principal =
            authenticate(&self.parts.verifier, request, now).map_err(|refusal: Refusal| {
                count(refusal.label());
                Refused::from(refusal)
            })?;
        let user = UserKey {
            app: principal.app.id.clone(),
            user: principal.user.id.clone(),
        };
        let enrolment = self.parts.registry.enrol(user.clone());
        let opening = Opening {
            registry: Arc::clone(&self.parts.registry),
            delivery: Arc::clone(&self.parts.delivery),
            store: self.parts.store.clone(),
            user,
        };
        if opening.is_due() {
            self.confirm_interest().await;
            match opening.open(&principal.user).await {
                Ok(()) => count("accepted"),
                Err(error) => {
                    count("degraded");
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "connected without positions, catching up later");
                    self.parts
                        .tasks
                        .spawn(opening.catch_up(principal.user.clone()));
                }
            }
        } else {
            count("accepted");
        }
        Ok(Accepted {
            session: Session::new(principal, enrolment),
            pid: None,
        })
    }

    /// Waits until the user's events come here. Without a connection they will, and all positions
    /// are checked then.
    async fn confirm_interest(&self) {
        match timeout(CONFIRM, self.parts.interest.confirmed()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connected early");
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connected early");
            }
        }
    }

    /// Adds a socket that is in.
    pub(super) fn attach(&self, socket: &ChatSocket) {
        metrics::gauge!(Metric::Sockets.name()).increment(1.0);
        self.expiry.add(socket);
        let Some(enrolment) = socket.session().take_enrolment() else {
            return;
        };
        let evicted = self.parts.registry.attach(enrolment, socket.clone());
        if let Some(oldest) = evicted {
            metrics::counter!(Metric::SocketsEvicted.name()).increment(1);
            let error = ChatError::RateLimited {
                retry_after_ms: 60_000,
            };
            wire::reply(&oldest, None, &consult::failure(&error, None));
            // Not its transport: the client would come back and push out another one.
            oldest.disconnect();
        }
        self.parts.calls.arrive(socket);
    }

    /// Forgets a socket that is gone.
    pub(super) fn detach(&self, socket: &ChatSocket, reason: Reason) {
        metrics::gauge!(Metric::Sockets.name()).decrement(1.0);
        tracing::debug!(reason = ?reason, "socket gone");
        self.parts.typing.stop_all(socket.number());
        self.parts.calls.depart(socket);
        self.expiry.remove(socket);
        self.parts.registry.detach(&socket.session().key(), socket);
    }
}

/// Learning where the conversations of a user stand.
struct Opening {
    registry: Arc<Registry>,
    delivery: Arc<Delivery>,
    store: Store,
    user: UserKey,
}

impl Opening {
    fn is_due(&self) -> bool {
        self.registry.positions(&self.user) == Some(Positions::Unknown)
    }

    async fn open(&self, user: &User) -> Result<(), ChatError> {
        let heads = self.store.open_session(&self.user.app, user).await?;
        self.delivery.opened(&self.user, &heads);
        Ok(())
    }

    /// Opens as soon as it is possible, and has the sockets that came before fetch what they missed.
    async fn catch_up(self, user: User) {
        let mut pause = BACKOFF.0;
        while self.is_due() {
            tokio::time::sleep(random::jitter(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
            let Ok(heads) = self.store.open_session(&self.user.app, &user).await else {
                continue;
            };
            self.delivery.opened(&self.user, &heads);
            let frame = wire::frame(&consult::resync(&heads.heads));
            for socket in self.registry.sockets(&self.user).iter() {
                socket.send(&frame, Class::Message);
            }
        }
    }
}
