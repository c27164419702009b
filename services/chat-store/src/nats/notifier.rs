//! Tells users' sockets about calls, about the presence of others and what other services say.
//!
//! Nothing is kept here: what NATS did not take for certain is an error, and the log it came from
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
    ports_in::{Notification, UserNotifier},
    ports_presence::{PresenceNotifier, Telling},
};

/// Users told of presence before NATS has confirmed those before.
const MAX_PART: usize = 500;

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
        bodies: impl Iterator<Item = (&AppId, &UserId, Body)>,
    ) -> Result<(), ChatError> {
        let sending = async {
            // What is published without a connection would wait for one, and be late then.
            if self.client.connection_state() != State::Connected {
                return Err("not connected".into());
            }
            let before = connection(&self.client);
            for (app, user, body) in bodies {
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
                (&logged.app, notice.to.user(), body)
            });
            self.publish(bodies).await
        })
    }

    fn pass_on<'a>(&'a self, app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()> {
        Box::pin(async move {
            let (user, _) = &handed.to;
            let body = Body::CallSignals(handed.into());
            self.publish(std::iter::once((app, user, body))).await
        })
    }
}

impl PresenceNotifier for Notifier {
    fn tell<'a>(&'a self, told: &'a [Telling<'a>]) -> Answer<'a, ()> {
        Box::pin(async move {
            let all: Vec<_> = told
                .iter()
                .flat_map(|told| told.audience.iter().map(move |user| (told, user)))
                .collect();
            // A part at a time, so that messages and calls pass between.
            for part in all.chunks(MAX_PART) {
                let bodies = part.iter().map(|(told, user)| {
                    let body = v1::PresenceChanged {
                        name: told.name.as_deref().map(str::to_owned),
                        ..(&told.about.user, &told.about.change).into()
                    };
                    (&told.about.app, *user, Body::PresenceChanged(body))
                });
                self.publish(bodies).await?;
            }
            Ok(())
        })
    }
}

impl UserNotifier for Notifier {
    fn notify<'a>(&'a self, app: &'a AppId, notification: &'a Notification) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = Body::Notify(v1::Notify {
                event: notification.event().to_owned(),
                data: notification.data().to_owned(),
            });
            let bodies = std::iter::once((app, notification.user(), body));
            self.publish(bodies).await
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
