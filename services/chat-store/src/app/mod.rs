//! The use cases, one file each.
//!
//! What is deliberately absent: SQL, NATS and HTTP. The use cases see [`crate::ports`] alone.

mod append_message;
mod attachments;
mod audit;
mod batcher;
mod caller;
pub mod calls;
mod custodian;
mod deliver_messages;
mod expire_messages;
mod find_user;
mod ice_servers;
mod intake;
pub mod journey;
mod list_conversations;
mod list_messages;
mod open_conversation;
mod open_session;
mod pairs;
mod people;
pub mod presence;
mod put_directory;
mod read_messages;
mod receive_messages;
mod resume_session;
mod revoke_tokens;
mod search;
mod sweep_outbox;
mod tell_services;
mod verify_audit;
mod window;

use std::sync::Arc;

use chat_domain::{AppId, ChatError, Conversation, ConversationId, Timestamp};
use service_kit::apps::Apps;

pub use append_message::{Appended, NewMessage, Stored, Target};
pub use attachments::{Announced, Attachments, Upload, remove_files};
pub use batcher::BatchLimits;
pub use caller::{Caller, Member};
use calls::Calls;
pub use custodian::{Certificate, Custodian};
pub use expire_messages::expire_messages;
pub use ice_servers::{IceServers, Relay, RelayCredentials};
pub use intake::{Inbound, Intake, SystemMessage};
pub use list_messages::Synced;
pub use open_session::Opened;
pub use resume_session::{Resumed, Stood};
pub use search::Found;
pub use sweep_outbox::sweep_outbox;
pub use tell_services::ServiceTeller;
pub use verify_audit::{Chain, Finding, verify_audit};

use self::presence::Roster;
use crate::ports::{Events, Journal, Store};

/// Everything the service can do. A clone is the same app.
#[derive(Clone)]
pub struct App {
    store: Arc<dyn Store>,
    events: Arc<dyn Events>,
    batcher: batcher::Batcher,
    deliverer: deliver_messages::Deliverer,
    people: people::People,
    auditor: audit::Auditor,
    calls: Calls,
    roster: Roster,
    apps: Arc<Apps>,
    clock: Clock,
    attachments: Option<Attachments>,
    /// For whom it acts, if not for users.
    service: Option<Arc<str>>,
}

/// What tells the time.
pub type Clock = fn() -> Timestamp;

impl App {
    /// Starts the use cases on their ports; `limits` are those of appending.
    ///
    /// Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        journal: Arc<dyn Journal>,
        events: Arc<dyn Events>,
        calls: Calls,
        roster: Roster,
        apps: Arc<Apps>,
        limits: BatchLimits,
    ) -> Self {
        let people = people::People::new(Arc::clone(&store), &apps);
        let journal = Arc::new(people::Introducing {
            journal,
            people: people.clone(),
        });
        let batcher = batcher::Batcher::start(journal, Arc::clone(&events), limits);
        let deliverer = deliver_messages::Deliverer::start(Arc::clone(&store), Arc::clone(&events));
        let auditor = audit::Auditor::start(Arc::clone(&store));
        Self {
            store,
            events,
            batcher,
            deliverer,
            people,
            auditor,
            calls,
            roster,
            apps,
            clock: service_kit::now,
            attachments: None,
            service: None,
        }
    }

    /// Has another clock tell what has expired.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Has what is told of the directory logged as told by `service`, as far as it is known which that is.
    #[must_use]
    pub fn told_by(&self, service: &str) -> Self {
        Self {
            service: Some(service.into()),
            ..self.clone()
        }
    }

    /// Returns the apps of the deployment.
    #[must_use]
    pub fn apps(&self) -> &Apps {
        &self.apps
    }

    /// Returns the use cases of calls.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Returns the use cases of presence.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Returns the generation of the sequence numbers. Read it before what it is to describe.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn epoch(&self) -> Result<u64, ChatError> {
        self.store.epoch().await
    }

    fn app(&self, id: &AppId) -> Result<&Arc<service_kit::apps::App>, ChatError> {
        self.apps.get(id).ok_or(ChatError::Malformed("no such app"))
    }

    /// Returns when the oldest message of the app that is still there can have been sent; `None` where
    /// messages are kept for ever.
    fn horizon(&self, app: &AppId) -> Option<Timestamp> {
        let retention = self.apps.get(app)?.policy.retention?;
        Some(retention.horizon((self.clock)()))
    }

    /// Returns a conversation of the app, whoever asks.
    async fn existing(&self, app: &AppId, id: ConversationId) -> Result<Conversation, ChatError> {
        let found = self.store.find_conversation(app, id).await?;
        let mut conversation = found.ok_or(ChatError::ConversationNotFound)?;
        self.people.introduce([&mut conversation]).await;
        Ok(conversation)
    }
}
