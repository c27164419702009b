//! A database, an app and people of a test's own, and stores on them.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chat_domain::{
    AppId, Booking, Business, Content, Conversation, ConversationId, Message, MessageKind, Role,
    SubjectId, User, UserId,
};
use chat_store::{
    app::{
        App, Appended, BatchLimits, Caller, NewMessage, Stored, Target, calls::Calls,
        presence::Roster,
    },
    pg::{MIGRATOR, Pg},
    ports::{Committed, Event, Events, Key, Origin},
};
use parking_lot::Mutex;
use service_kit::apps::Apps;
use sqlx::PgPool;
use test_kit::postgres::Database;
use uuid::Uuid;

use super::{calls_subject::MemoryCalls, presence_subject::Nowhere};

pub(crate) struct World {
    database: Database,
    pub(crate) apps: Arc<Apps>,
    pub(crate) id: AppId,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_policy("").await
    }

    /// `policy` goes into the app's section of the apps file.
    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::speaking("consult", policy).await
    }

    /// One whose app has another dialect.
    pub(crate) async fn speaking(dialect: &str, policy: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        for migration in MIGRATOR.iter() {
            migration.checksum.hash(&mut hasher);
        }
        let template = format!("store_{:016x}", hasher.finish());
        let database = Database::create(&template, async |url| {
            let pg = Pg::connect(&url, 1).await?;
            pg.migrate().await?;
            pg.close().await;
            Ok(())
        })
        .await
        .unwrap();

        // No other test's, so that nobody else's events arrive.
        let name = format!("app-{}", Uuid::new_v4());
        let apps = format!(
            "[apps.{name}]\ndialect = \"{dialect}\"\n{policy}\n\
             [[apps.{name}.keys]]\nalgorithm = \"HS256\"\nsecret = \"{}\"\n",
            "s".repeat(32)
        );
        Self {
            database,
            apps: Arc::new(Apps::parse(&apps, Path::new("apps.toml")).unwrap()),
            id: AppId::new(&name).unwrap(),
        }
    }

    pub(crate) async fn pg(&self) -> Pg {
        self.pg_of(12).await
    }

    /// With that many connections; each is a login.
    pub(crate) async fn pg_of(&self, connections: u32) -> Pg {
        let pg = Pg::connect(self.database.url(), connections).await.unwrap();
        pg.create_partitions().await.unwrap();
        pg
    }

    /// Where the database is.
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// A connection past the store, to look and to meddle.
    pub(crate) async fn sql(&self) -> PgPool {
        PgPool::connect(self.database.url()).await.unwrap()
    }

    /// A store that tells `events`.
    pub(crate) async fn store(&self, events: Arc<dyn Events>) -> App {
        let pg = Arc::new(self.pg().await);
        let calls = private_calls(&pg, &self.apps);
        self.store_with(&pg, events, calls, no_roster(&pg, &self.apps))
    }

    /// A store that tells `events` and has these calls and this presence.
    pub(crate) fn store_with(
        &self,
        pg: &Arc<Pg>,
        events: Arc<dyn Events>,
        calls: Calls,
        roster: Roster,
    ) -> App {
        let (pg, apps) = (Arc::clone(pg), Arc::clone(&self.apps));
        let limits = BatchLimits::default();
        App::new(pg.clone(), pg, events, calls, roster, apps, limits)
    }

    pub(crate) fn caller(&self, role: Role) -> Caller {
        Caller {
            app: self.apps.get(&self.id).unwrap().clone(),
            user: User {
                id: UserId::new(&Uuid::new_v4().to_string()).unwrap(),
                role,
                name: None,
                email: None,
                avatar_url: None,
            },
            device: None,
        }
    }

    /// Somebody whom the directory knows, under a name and an e-mail of its own.
    pub(crate) async fn user(&self, store: &App, id: &str, role: Role) -> Caller {
        let mut caller = self.caller(role);
        caller.user = User {
            id: UserId::new(id).unwrap(),
            name: Some(format!("Name of {id}")),
            email: Some(format!("{id}@example.org")),
            ..caller.user
        };
        let user = caller.user.clone();
        store.put_user(&self.id, user, None).await.unwrap();
        caller
    }

    /// A doctor and a patient who may write to each other.
    pub(crate) async fn associated(&self, store: &App, doctor: &str, patient: &str) -> [Caller; 2] {
        let doctor = self.user(store, doctor, Role::Doctor).await;
        let patient = self.user(store, patient, Role::Patient).await;
        let (of, with) = (doctor.user.id.clone(), patient.user.id.clone());
        store
            .put_association(&self.id, of, with, None)
            .await
            .unwrap();
        [doctor, patient]
    }

    /// A business with its owner, a client, and a booking of the two: `shop`, `owner`, `client`, `b-1`.
    pub(crate) async fn booked(&self, store: &App) -> [Caller; 2] {
        let owner = self.user(store, "owner", Role::Business).await;
        let client = self.user(store, "client", Role::Client).await;
        self.assign(store, "owner").await;
        let booking = Booking {
            id: SubjectId::new("b-1").unwrap(),
            professional: UserId::new("shop").unwrap(),
            client: client.user.id.clone(),
            starts_at: None,
            ends_at: None,
            status: None,
        };
        store.put_booking(&self.id, booking, None).await.unwrap();
        [owner, client]
    }

    /// Gives the business to somebody.
    pub(crate) async fn assign(&self, store: &App, owner: &str) {
        let business = Business {
            id: UserId::new("shop").unwrap(),
            owner: UserId::new(owner).unwrap(),
            name: "Shop".to_owned(),
        };
        store.put_business(&self.id, business, None).await.unwrap();
    }

    /// Two people with a booking.
    pub(crate) async fn pair(&self, store: &App) -> Pair {
        let pair = Pair {
            consultant: self.caller(Role::Consultant),
            patient: self.caller(Role::Patient),
            booking: SubjectId::new(&Uuid::new_v4().to_string()).unwrap(),
        };
        store
            .put_booking(&self.id, pair.as_booking(), None)
            .await
            .unwrap();
        pair
    }

    /// Two people with a booking and its conversation.
    pub(crate) async fn talk(&self, store: &App) -> (Pair, ConversationId) {
        let pair = self.pair(store).await;
        let id = pair.open(store).await.id;
        (pair, id)
    }
}

/// Calls whose state nobody else has.
pub(crate) fn private_calls(pg: &Arc<Pg>, apps: &Arc<Apps>) -> Calls {
    let state = Arc::new(MemoryCalls::default());
    Calls::new(state, pg.clone(), pg.clone(), Arc::clone(apps))
}

/// Presence that nobody knows.
pub(crate) fn no_roster(pg: &Arc<Pg>, apps: &Arc<Apps>) -> Roster {
    Roster::new(Arc::new(Nowhere), pg.clone(), Arc::clone(apps))
}

pub(crate) struct Pair {
    pub(crate) consultant: Caller,
    pub(crate) patient: Caller,
    pub(crate) booking: SubjectId,
}

impl Pair {
    pub(crate) fn as_booking(&self) -> Booking {
        Booking {
            id: self.booking.clone(),
            professional: self.consultant.user.id.clone(),
            client: self.patient.user.id.clone(),
            starts_at: None,
            ends_at: None,
            status: None,
        }
    }

    pub(crate) async fn open(&self, store: &App) -> Conversation {
        store
            .open_conversation(
                &self.patient,
                self.consultant.user.id.clone(),
                self.patient.user.id.clone(),
                self.booking.clone(),
            )
            .await
            .unwrap()
    }
}

pub(crate) fn content(text: &str) -> Content {
    Content::new(MessageKind::Text, text, None, Content::MAX_CHARS).unwrap()
}

pub(crate) fn keyed(key: &str, text: &str) -> NewMessage {
    NewMessage {
        key: Key::Clients(chat_domain::ClientKey::new(key).unwrap()),
        content: content(text),
    }
}

pub(crate) fn new(text: &str) -> NewMessage {
    NewMessage {
        key: Key::fresh(),
        content: content(text),
    }
}

/// Sends one message and returns it as it was stored.
pub(crate) async fn send(
    store: &App,
    caller: &Caller,
    conversation: ConversationId,
    message: NewMessage,
) -> Result<Stored, chat_domain::ChatError> {
    let target = Target::Conversation(conversation);
    let appended = store
        .append(caller, target, vec![message], Origin::default())
        .await?;
    appended.results.into_iter().next().unwrap()
}

/// Sends one message to what a client calls its target.
pub(crate) async fn send_to(
    store: &App,
    caller: &Caller,
    target: &str,
    text: &str,
) -> Result<Appended, chat_domain::ChatError> {
    let target = Target::Either(target.to_owned());
    store
        .append(caller, target, vec![new(text)], Origin::default())
        .await
}

/// Sends numbered messages in batches and returns them.
pub(crate) async fn send_many(
    store: &App,
    caller: &Caller,
    conversation: ConversationId,
    count: usize,
) -> Vec<Message> {
    let mut messages = Vec::new();
    let items: Vec<_> = (1..=count).map(|number| new(&number.to_string())).collect();
    for chunk in items.chunks(App::MAX_APPEND) {
        let target = Target::Conversation(conversation);
        let appended = store
            .append(caller, target, chunk.to_vec(), Origin::default())
            .await
            .unwrap();
        messages.extend(
            appended
                .results
                .into_iter()
                .map(|item| item.unwrap().message),
        );
    }
    messages
}

/// Hears everything that is told.
pub(crate) struct Ear {
    heard: Mutex<Vec<Committed>>,
    open: AtomicBool,
}

impl Ear {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            heard: Mutex::default(),
            open: AtomicBool::new(true),
        })
    }

    /// One that hears nothing: as if the store died after its commits.
    pub(crate) fn deaf() -> Arc<Self> {
        let ear = Self::new();
        ear.open.store(false, Ordering::Relaxed);
        ear
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let heard = self.heard.lock();
        heard.iter().flat_map(|one| one.events.clone()).collect()
    }
}

impl Events for Ear {
    fn publish(&self, committed: Committed) -> bool {
        let open = self.ready();
        if open {
            self.heard.lock().push(committed);
        }
        open
    }

    fn ready(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}
