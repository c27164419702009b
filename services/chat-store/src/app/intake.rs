//! Takes in what other services write into the stream: the use cases of their HTTP, and events for
//! users' sockets.
//!
//! Everything but an event may be taken again: the entry with the greatest version wins, and a
//! message has a key. An event that is taken again is told again.

use std::sync::Arc;

use chat_domain::{
    AppId, Booking, Business, ChatError, ClientKey, Revoked, Timestamp, User, UserId,
};
use service_kit::apps::Apps;

use super::{App, Target};
use crate::ports_in::{Notification, UserNotifier};

/// Who tells, in the log: the broker does not say which service wrote.
const BY: &str = "CHAT_IN";

/// What another service wrote. `version` is that of the entry.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub enum Inbound {
    User {
        user: User,
        version: Option<i64>,
    },
    Booking {
        booking: Booking,
        version: Option<i64>,
    },
    Business {
        business: Business,
        version: Option<i64>,
    },
    Association {
        doctor: UserId,
        patient: UserId,
        removed: bool,
        version: Option<i64>,
    },
    Message(SystemMessage),
    Notify(Notification),
    Revocation {
        revoked: Revoked,
        expires_at: Option<Timestamp>,
    },
}

/// A system message to be written.
pub struct SystemMessage {
    /// Where.
    pub target: Target,
    /// Unchecked.
    pub text: String,
    /// What makes it the same message when it comes again.
    pub key: ClientKey,
}

impl std::fmt::Debug for SystemMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SystemMessage({:?}, [redacted])", self.target)
    }
}

/// Takes what other services write. A clone is the same.
#[derive(Clone)]
pub struct Intake {
    app: App,
    notifier: Arc<dyn UserNotifier>,
}

impl Intake {
    /// Puts it on its use cases and its port.
    #[must_use]
    pub fn new(app: &App, notifier: Arc<dyn UserNotifier>) -> Self {
        let app = app.told_by(BY);
        Self { app, notifier }
    }

    /// Returns the apps of the deployment.
    #[must_use]
    pub fn apps(&self) -> &Apps {
        self.app.apps()
    }

    /// Takes one thing; it is durable then, or an event is with the broker.
    ///
    /// # Errors
    ///
    /// Returns what the use case does; [`ChatError::Unavailable`] means that it can be taken later.
    pub async fn take(&self, app: &AppId, inbound: Inbound) -> Result<(), ChatError> {
        let chat = &self.app;
        match inbound {
            Inbound::User { user, version } => chat.put_user(app, user, version).await,
            Inbound::Booking { booking, version } => chat.put_booking(app, booking, version).await,
            Inbound::Business { business, version } => {
                chat.put_business(app, business, version).await
            }
            Inbound::Association {
                doctor,
                patient,
                removed: false,
                version,
            } => chat.put_association(app, doctor, patient, version).await,
            Inbound::Association {
                doctor,
                patient,
                removed: true,
                version,
            } => chat.remove_association(app, doctor, patient, version).await,
            Inbound::Message(SystemMessage { target, text, key }) => {
                chat.post_system_message(app, target, &text, Some(key))
                    .await?;
                Ok(())
            }
            Inbound::Notify(notification) => self.notifier.notify(app, &notification).await,
            Inbound::Revocation {
                revoked,
                expires_at,
            } => chat.revoke(app, revoked, expires_at).await,
        }
    }
}
