//! What is revoked, as the stores know it, and the end of sockets whose token it was.
//!
//! Not here: which tokens a revocation means, which [`service_kit::auth::Revocations`] decides.

use std::{sync::Arc, time::Duration};

use chat_domain::ChatError;
use dialects::{Fact, Failure};
use service_kit::auth::{Revocations, TokenError};
use tokio::{sync::Notify, time::timeout};

use crate::{metrics::Metric, random, registry::Registry, session::ChatSocket, store::Store, wire};

/// How often the stores are asked though nobody said that there is something new.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How often they are asked at most, so that many revocations are one question.
const PAUSE: Duration = Duration::from_millis(50);

/// How often revocations are forgotten whose tokens have ended by themselves.
const FORGET_EVERY: u32 = 720;

/// Keeps up with what is revoked.
#[derive(Debug)]
pub struct RevocationFeed {
    revocations: Arc<Revocations>,
    store: Store,
    registry: Arc<Registry>,
    told: Notify,
}

impl RevocationFeed {
    /// Adds to `revocations` what the stores know, and ends the sockets of `registry` whose tokens
    /// those are.
    #[must_use]
    pub fn new(revocations: Arc<Revocations>, store: Store, registry: Arc<Registry>) -> Self {
        Self {
            revocations,
            store,
            registry,
            told: Notify::new(),
        }
    }

    /// Hears that something was revoked, or may have been.
    pub fn told(&self) {
        self.told.notify_one();
    }

    /// Learns what is revoked before anybody is let in, for at most `patience`: without a store
    /// there, clients are let in, and those whose tokens are revoked leave when there is one.
    pub async fn begin(&self, patience: Duration) {
        match timeout(patience, self.learn(&mut false)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn(&error),
            Err(elapsed) => warn(&elapsed),
        }
    }

    /// Keeps learning. Runs until dropped.
    pub async fn run(&self) {
        let mut is_failing = false;
        for round in 1_u32.. {
            let mut is_news = false;
            let learnt = self.learn(&mut is_news).await;
            if is_news {
                self.end_sockets();
            }
            match learnt {
                Ok(()) => is_failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn(&error);
                    }
                }
            }
            if round.is_multiple_of(FORGET_EVERY) {
                self.revocations.forget(service_kit::now());
            }
            tokio::time::sleep(PAUSE).await;
            // A question that failed is asked again in time; that nobody told makes no difference.
            let _ = timeout(random::jitter(ASK_EVERY), self.told.notified()).await;
        }
    }

    /// Asks for what is new, and says whether there was anything, also when it fails then.
    async fn learn(&self, is_news: &mut bool) -> Result<(), ChatError> {
        loop {
            let page = self.store.revocations(self.revocations.last()).await?;
            *is_news |= !page.revocations.is_empty();
            if !self.revocations.take(&page) {
                return Ok(());
            }
        }
    }

    fn end_sockets(&self) {
        for part in 0..self.registry.n_parts() {
            for socket in self.registry.part(part) {
                end_if_revoked(&self.revocations, &socket);
            }
        }
    }
}

/// Sends the client of a socket away if its token is revoked, and says why.
pub fn end_if_revoked(revocations: &Revocations, socket: &ChatSocket) {
    if !revocations.cover(socket.session().marks()) {
        return;
    }
    metrics::counter!(Metric::SocketsRevoked.name()).increment(1);
    let error = TokenError::Invalid;
    let text = error.to_string();
    let failure = Failure::new(&text, error.code(), None);
    wire::tell(socket, &Fact::Failed(&failure));
    // Not its transport: the client would only come back with the same token.
    socket.disconnect();
}

fn warn(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "not known what is revoked; those known stay so");
}
