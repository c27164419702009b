//! Tells users' sockets about their calls.
//!
//! Nothing is kept here: what NATS did not take for certain is an error, and the log of calls
//! brings it again.

use async_nats::{Client, connection::State};
use bytes::Bytes;
use chat_domain::{
    AppId, BoxError, ChatError, UserId,
    call::{Handed, Notice, Summary},
};
use chat_proto::{
    subject,
    v1::{self, envelope::Body},
};
use prost::Message as _;
use tokio::time::timeout;

use super::publisher::{PROBE_TIMEOUT, VERSION, connection, probe};
use crate::{
    ports::Answer,
    ports_calls::{CallNotifier, Logged},
};

/// Tells over one connection, in order.
#[derive(Debug, Clone)]
pub struct Notifier {
    client: Client,
}

impl Notifier {
    /// Tells over `client`.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    async fn publish(
        &self,
        app: &AppId,
        bodies: impl Iterator<Item = (&UserId, Body)>,
    ) -> Result<(), ChatError> {
        let sending = async {
            // What is published without a connection would wait for one, and be late then.
            if self.client.connection_state() != State::Connected {
                return Err("not connected".into());
            }
            let before = connection(&self.client);
            for (user, body) in bodies {
                let envelope = Bytes::from(envelope(app, user, body).encode_to_vec());
                let subject = subject::user(app, user);
                self.client.publish(subject, envelope).await?;
            }
            probe(&self.client).await?;
            // A new connection may have begun without what the old one had not written.
            if connection(&self.client) != before {
                return Err("the connection was lost".into());
            }
            Ok::<_, BoxError>(())
        };
        let sent = timeout(PROBE_TIMEOUT, sending).await;
        sent.unwrap_or_else(|elapsed| Err(elapsed.into()))
            .map_err(|source| ChatError::Unavailable {
                dependency: "nats",
                source,
            })
    }
}

impl CallNotifier for Notifier {
    fn tell<'a>(&'a self, logged: &'a Logged, notices: &'a [Notice]) -> Answer<'a, ()> {
        let call = Summary::from(&logged.transition.call);
        Box::pin(async move {
            let bodies = notices.iter().map(|notice| {
                let body = Body::CallNotice((notice, &call).into());
                (notice.to.user(), body)
            });
            self.publish(&logged.app, bodies).await
        })
    }

    fn pass_on<'a>(&'a self, app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()> {
        Box::pin(async move {
            let (user, _) = &handed.to;
            let body = Body::CallSignals(handed.into());
            self.publish(app, std::iter::once((user, body))).await
        })
    }
}

fn envelope(app: &AppId, user: &UserId, body: Body) -> v1::Envelope {
    v1::Envelope {
        version: VERSION,
        app: app.as_str().to_owned(),
        targets: vec![user.as_str().to_owned()],
        body: Some(body),
        ..v1::Envelope::default()
    }
}
