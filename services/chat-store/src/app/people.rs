//! Puts names and e-mails to the participants of conversations, where the app's dialect shows them.
//!
//! What is known is believed for a short while, so that the people of a busy conversation are looked up
//! now and then and not with every message. Nothing fails for want of a name.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{AppId, ChatError, Conversation, Dialect, Participant, UserId};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use service_kit::apps::Apps;

use crate::ports::{Entry, Journal, JournalError, Outcome, Store, Written};

/// For how long a name is believed.
const LIFE: Duration = Duration::from_secs(30);
/// Most people known at a time, each some 200 bytes.
const CAPACITY: usize = 20_000;

/// How somebody is shown.
#[derive(Clone, Default)]
struct Known {
    name: Option<Box<str>>,
    email: Option<Box<str>>,
}

/// Those known, and since when.
type Cache = HashMap<(AppId, UserId), (Known, Instant)>;

/// Who is who. A clone is the same.
#[derive(Clone)]
pub(super) struct People {
    store: Arc<dyn Store>,
    /// The apps that show people.
    apps: Arc<HashSet<AppId>>,
    cache: Arc<Mutex<Cache>>,
}

impl People {
    pub(super) fn new(store: Arc<dyn Store>, apps: &Apps) -> Self {
        let showing = apps.iter().filter(|app| app.dialect != Dialect::Consult);
        Self {
            store,
            apps: Arc::new(showing.map(|app| app.id.clone()).collect()),
            cache: Arc::default(),
        }
    }

    /// Fills in whatever is known of the participants, with one query per app at most.
    pub(super) async fn introduce<'a>(
        &self,
        conversations: impl IntoIterator<Item = &'a mut Conversation>,
    ) {
        let mut by_app: HashMap<AppId, Vec<&mut Participant>> = HashMap::new();
        for conversation in conversations {
            if self.apps.contains(&conversation.app) {
                let sides = by_app.entry(conversation.app.clone()).or_default();
                sides.extend(&mut conversation.participants);
            }
        }
        for (app, sides) in by_app {
            let users: HashSet<UserId> = sides.iter().map(|side| side.user.clone()).collect();
            let known = self.find(&app, users).await;
            for side in sides {
                if let Some(found) = known.get(&side.user) {
                    side.name.clone_from(&found.name);
                    side.email.clone_from(&found.email);
                }
            }
        }
    }

    /// Returns a user's name, if it is known.
    pub(super) async fn name_of(&self, app: &AppId, user: &UserId) -> Option<Box<str>> {
        let known = self.find(app, HashSet::from([user.clone()])).await;
        known.get(user)?.name.clone()
    }

    async fn find(&self, app: &AppId, users: HashSet<UserId>) -> HashMap<UserId, Known> {
        let fresh_since = Instant::now().checked_sub(LIFE);
        let mut known = HashMap::with_capacity(users.len());
        let mut missing = Vec::new();
        {
            let cache = self.cache.lock();
            for user in users {
                let key = (app.clone(), user);
                match cache.get(&key) {
                    Some((found, at)) if fresh_since.is_none_or(|since| since < *at) => {
                        known.insert(key.1, found.clone());
                    }
                    _ => missing.push(key.1),
                }
            }
        }
        if missing.is_empty() {
            return known;
        }
        let asked: Vec<&UserId> = missing.iter().collect();
        match self.store.find_users(app, &asked).await {
            Ok(found) => {
                let found = found.into_iter().map(|user| {
                    let known = Known {
                        name: user.name.map(String::into_boxed_str),
                        email: user.email.map(String::into_boxed_str),
                    };
                    (user.id, known)
                });
                let found: HashMap<UserId, Known> = found.collect();
                self.keep(app, &found);
                known.extend(found);
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "people are shown without their names");
            }
        }
        known
    }

    fn keep(&self, app: &AppId, found: &HashMap<UserId, Known>) {
        let now = Instant::now();
        let mut cache = self.cache.lock();
        if CAPACITY < cache.len() + found.len() {
            // Rare: what is looked for is soon there again.
            cache.clear();
        }
        for (user, known) in found {
            cache.insert((app.clone(), user.clone()), (known.clone(), now));
        }
    }
}

/// Fills in what is known now, whatever the dialect: for what happens rarely.
pub(super) async fn look_up(
    store: &dyn Store,
    conversation: &mut Conversation,
) -> Result<(), ChatError> {
    let [first, second] = &mut conversation.participants;
    let users = [&first.user, &second.user];
    for user in store.find_users(&conversation.app, &users).await? {
        let side = if user.id == first.user {
            &mut *first
        } else {
            &mut *second
        };
        side.name = user.name.map(String::into_boxed_str);
        side.email = user.email.map(String::into_boxed_str);
    }
    Ok(())
}

/// A journal that introduces the people of what it stored.
pub(super) struct Introducing {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) people: People,
}

impl Journal for Introducing {
    fn append<'a>(&'a self, batch: &'a [Entry]) -> BoxFuture<'a, Result<Written, JournalError>> {
        Box::pin(async {
            let mut written = self.journal.append(batch).await?;
            self.introduce(&mut written.outcomes).await;
            Ok(written)
        })
    }
}

impl Introducing {
    async fn introduce(&self, outcomes: &mut [Outcome]) {
        let mut shown = HashMap::new();
        for outcome in &*outcomes {
            if let Some(conversation) = conversation_of(outcome)
                && self.people.apps.contains(&conversation.app)
                && !shown.contains_key(&conversation.id)
            {
                shown.insert(conversation.id, Conversation::clone(conversation));
            }
        }
        if shown.is_empty() {
            return;
        }
        self.people.introduce(shown.values_mut()).await;
        let shown: HashMap<_, _> = shown
            .into_iter()
            .map(|(id, conversation)| (id, Arc::new(conversation)))
            .collect();
        for outcome in outcomes {
            if let Outcome::Stored { conversation, .. } | Outcome::KeyReused(conversation) = outcome
                && let Some(introduced) = shown.get(&conversation.id)
            {
                *conversation = Arc::clone(introduced);
            }
        }
    }
}

const fn conversation_of(outcome: &Outcome) -> Option<&Arc<Conversation>> {
    match outcome {
        Outcome::Stored { conversation, .. } | Outcome::KeyReused(conversation) => {
            Some(conversation)
        }
        Outcome::NotParticipant | Outcome::ConversationNotFound => None,
    }
}
