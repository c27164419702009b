//! Tells changes of presence: to the user's contacts, to its other devices, and to other services.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chat_domain::{AppId, ChatError, Dialect, UserId};
use service_kit::apps::Apps;

use super::{super::people::People, relation_of};
use crate::{
    metrics::Metric,
    ports::{Answer, Sink, Store},
    ports_out::{OutEvent, Outgoing},
    ports_presence::{Attended, PresenceNotifier, Telling},
};

/// The most contacts of one user who are told; the others see the change when they ask.
const MAX_CONTACTS: u32 = 10_000;
/// Changes whose audiences are in memory at once.
const AT_ONCE: usize = 16;

/// Tells each change at least once. One that comes twice has the same time.
#[derive(Clone)]
pub struct Announcer {
    store: Arc<dyn Store>,
    notifier: Arc<dyn PresenceNotifier>,
    outgoing: Arc<dyn Outgoing>,
    apps: Arc<Apps>,
    people: People,
}

impl Announcer {
    /// Puts it on its ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        notifier: Arc<dyn PresenceNotifier>,
        outgoing: Arc<dyn Outgoing>,
        apps: Arc<Apps>,
    ) -> Self {
        Self {
            people: People::new(Arc::clone(&store), &apps),
            store,
            notifier,
            outgoing,
            apps,
        }
    }

    async fn announce(&self, batch: &[Attended]) -> Result<(), ChatError> {
        let mut by_app: BTreeMap<&AppId, Vec<&Attended>> = BTreeMap::new();
        for attended in batch {
            by_app.entry(&attended.app).or_default().push(attended);
        }
        for (app, changes) in by_app {
            let audiences = self.audiences(app, &changes).await?;
            let mut told = Vec::with_capacity(changes.len());
            for (about, audience) in changes.into_iter().zip(audiences) {
                let name = match self.dialect_of(app) {
                    Some(Dialect::Clinic) => self.people.name_of(app, &about.user).await,
                    _ => None,
                };
                told.push(Telling {
                    about,
                    name,
                    audience,
                });
            }
            self.notifier.tell(&told).await?;
        }
        let event = |it: &Attended| OutEvent::presence_changed(&it.app, &it.user, &it.change);
        let events: Vec<_> = batch.iter().map(event).collect();
        self.outgoing.put(&events).await?;
        Metric::PresenceChanges.add(batch.len());
        Ok(())
    }

    fn dialect_of(&self, app: &AppId) -> Option<Dialect> {
        self.apps.get(app).map(|app| app.dialect)
    }

    /// Returns who is told of each change.
    async fn audiences(
        &self,
        app: &AppId,
        changes: &[&Attended],
    ) -> Result<Vec<Vec<UserId>>, ChatError> {
        let mut users: Vec<_> = changes.iter().map(|it| &it.user).collect();
        users.sort_unstable();
        users.dedup();
        let mut contacts: HashMap<UserId, Vec<UserId>> = HashMap::new();
        let relation = relation_of(&self.apps, app);
        for (user, contact) in self
            .store
            .list_contacts(app, relation, &users, MAX_CONTACTS)
            .await?
        {
            contacts.entry(user).or_default().push(contact);
        }
        let audience = |it: &&Attended| {
            let mut audience = contacts.get(&it.user).cloned().unwrap_or_default();
            // Who has other devices was there before and is there still. In a clinic a user hears of
            // itself in any case.
            let is_clinic = self.dialect_of(app) == Some(Dialect::Clinic);
            if (it.change.was.is_online() || is_clinic) && it.change.now.is_online() {
                audience.push(it.user.clone());
            }
            audience
        };
        Ok(changes.iter().map(audience).collect())
    }
}

impl Sink<Attended> for Announcer {
    fn take<'a>(&'a self, batch: &'a [Attended]) -> Answer<'a, ()> {
        Box::pin(async move {
            for part in batch.chunks(AT_ONCE) {
                self.announce(part).await?;
            }
            Ok(())
        })
    }
}
