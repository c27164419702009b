//! Why a device did not get a message, hop by hop: from the commit to the socket.
//!
//! Whoever asks is in the log of accesses before it is answered. Not here: what was written, which
//! nobody is shown.

mod devices;
mod verdict;

use chat_domain::{AppId, ChatError, MessageId, UserId};

pub use devices::{Connection, Device, State};
pub use verdict::{Facts, Verdict, judge};

use super::Custodian;
use crate::{
    ports_audit::{Access, Action},
    ports_journey::{Question, Sightings, Stored},
};

/// What is known of a message on its way to a user.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is described at its type")]
pub struct Journey {
    pub facts: Facts,
    pub sightings: Sightings,
    pub devices: Vec<Device>,
    pub verdict: Verdict,
}

impl Custodian {
    /// Finds out what became of a message for a user, at all of its devices or those whose `socket.id`
    /// is `device`.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::MessageNotFound`] for a message that was never there, has expired and is
    /// deleted, or was erased; [`ChatError::ConversationNotFound`] for one of another app; and [`ChatError::Unavailable`] while the database is. Without the
    /// gateways' notes it is answered from what the database knows.
    pub async fn journey(
        &self,
        app: &AppId,
        by: &str,
        id: MessageId,
        (user, device): (&UserId, Option<&str>),
    ) -> Result<Journey, ChatError> {
        let found = self.stored.find_stored(app, id, user).await?;
        let stored = found.ok_or(ChatError::MessageNotFound)?;
        // That of another app is none.
        let conversation = self.app.existing(app, stored.conversation).await?;
        let access = Access {
            subject: Some(user.clone()),
            detail: Some(format!("message={id}")),
            ..Access::new(app, by, Action::Trace)
        };
        self.note(access.of(conversation.id, [])).await?;
        let mut sightings = self.sightings(app, user, &stored).await;
        // Of whom a gateway told that it connected, and of whom none noted that, the notes were lost.
        sightings.is_complete &= stored.connected.iter().all(|device| {
            let mut all = sightings.all.iter();
            all.any(|one| one.device.to_string() == *device)
        });
        let mut devices = devices::of(&sightings.all, stored.seq, stored.created_at);
        if let Some(wanted) = device {
            devices.retain(|one| one.socket_id.as_deref() == Some(wanted));
            sightings.all.retain(|sighting| {
                let mut own = devices.iter().flat_map(|device| &device.connections);
                sighting.device.socket == 0 || own.any(|one| one.device == sighting.device)
            });
        }
        let horizon = self.app.horizon(app);
        let facts = Facts {
            is_participant: conversation.participant(user).is_some(),
            is_sender: stored.sender == *user,
            is_expired: horizon.is_some_and(|horizon| stored.created_at < horizon),
            stored,
        };
        let verdict = judge(&facts, &devices, sightings.is_complete);
        Ok(Journey {
            facts,
            sightings,
            devices,
            verdict,
        })
    }

    /// Returns what gateways noted; nothing while that cannot be read.
    async fn sightings(&self, app: &AppId, user: &UserId, stored: &Stored) -> Sightings {
        let question = Question {
            app,
            user,
            conversation: stored.conversation,
            seq: stored.seq,
            created_at: stored.created_at,
        };
        match self.sighted.read(question).await {
            Ok(sightings) => sightings,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the gateways' notes are out of reach");
                Sightings::default()
            }
        }
    }
}
