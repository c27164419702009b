//! Who is there, for those who may know: contacts, in the sense of the app's dialect.
//!
//! The shared state decides ([`PresenceState`]); what follows from a change comes out of its log
//! ([`Announcer`]). Nothing waits for any of it.

mod announce;

use std::{collections::HashMap, sync::Arc};

use chat_domain::{AppId, ChatError, Dialect, ErrorKind, Presence, Status, UserId, call::DeviceId};
use service_kit::apps::Apps;

pub use announce::Announcer;

use super::Member;
use crate::{
    ports::{Relation, Store},
    ports_presence::PresenceState,
};

/// Users looked at in one round.
const ROUND: usize = 128;

/// The use cases of presence. A clone is the same.
#[derive(Clone)]
pub struct Roster {
    state: Arc<dyn PresenceState>,
    store: Arc<dyn Store>,
    apps: Arc<Apps>,
}

impl Roster {
    /// The most users that one question may name.
    pub const MAX_USERS: usize = 100;

    /// Puts the use cases on their ports.
    #[must_use]
    pub fn new(state: Arc<dyn PresenceState>, store: Arc<dyn Store>, apps: Arc<Apps>) -> Self {
        Self { state, store, apps }
    }

    /// Notes that a device is connected; `again` if that was announced before.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the state is.
    pub async fn come(
        &self,
        member: Member<'_>,
        device: DeviceId,
        again: bool,
    ) -> Result<(), ChatError> {
        let Member { app, user, .. } = member;
        self.state.come(app, user, device, again).await
    }

    /// Notes that a device is disconnected.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the state is.
    pub async fn leave(&self, member: Member<'_>, device: DeviceId) -> Result<(), ChatError> {
        self.state.leave(member.app, member.user, device).await
    }

    /// Sets what the member says of itself, on all its devices and beyond its connections.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the state is.
    pub async fn set_status(&self, member: Member<'_>, status: Status) -> Result<(), ChatError> {
        self.state.choose(member.app, member.user, status).await
    }

    /// Returns what the member may see of each user, in order. Whoever is no contact of the
    /// member is offline, and so is everybody while the state is away.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] for more than [`Self::MAX_USERS`], and
    /// [`ChatError::Unavailable`] while the store is away.
    pub async fn find(
        &self,
        member: Member<'_>,
        users: &[UserId],
    ) -> Result<Vec<Presence>, ChatError> {
        if Self::MAX_USERS < users.len() {
            return Err(ChatError::TooLarge("the list of users"));
        }
        let Member { app, user, .. } = member;
        let relation = relation_of(&self.apps, app);
        let mut visible = self
            .store
            .contacts_among(app, relation, user, users)
            .await?;
        if users.contains(user) {
            visible.push(user.clone());
        }
        let told = match self.state.presence_of(app, &visible).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => Vec::new(),
            told => told?,
        };
        let told: HashMap<_, _> = visible.iter().zip(told).collect();
        let seen = users.iter().map(|user| told.get(user).copied());
        Ok(seen.map(Option::unwrap_or_default).collect())
    }
}

/// Says what makes people of an app contacts.
fn relation_of(apps: &Apps, app: &AppId) -> Relation {
    match apps.get(app).map(|app| app.dialect) {
        Some(Dialect::Care) => Relation::Association,
        Some(Dialect::Clinic) => Relation::Exchange,
        Some(Dialect::Consult | Dialect::Booking) | None => Relation::Conversation,
    }
}

/// Tells what is due in each app; returns whether there may be more at once. Due every 500 ms.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`] while the state is; the next round looks again.
pub async fn sweep(state: &dyn PresenceState, apps: &[AppId]) -> Result<bool, ChatError> {
    let mut more = false;
    for app in apps {
        more |= state.settle_due(app, ROUND).await? == ROUND;
    }
    Ok(more)
}
