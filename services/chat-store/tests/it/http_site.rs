//! What the tests of HTTP share: the routers over a real store, and users with tokens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use chat_domain::ChatError;
use chat_store::{
    app::{
        App, Attachments, BatchLimits, Custodian, IceServers, Relay, calls::Calls, presence::Roster,
    },
    files::{BucketSettings, FileStore},
    http as rest,
    pg::{MIGRATOR, Pg},
    ports::{Committed, Events},
    ports_journey::{Question, SightingLog, Sightings},
    ports_presence::PresenceState,
    redis::RedisState,
};
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};
use service_kit::{Secret, apps::Apps, auth::Verifier, limits::Rate};
use sqlx::{AssertSqlSafe, PgPool};
use test_kit::postgres::Database;
use tokio::sync::Semaphore;

pub(crate) use crate::http_ask::{Answer, Ask, masked};
use crate::{presence_subject::Nowhere, world::private_calls};

pub(crate) const CONSULTANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const PATIENT: &str = "22222222-2222-4222-8222-22222222aaaa";
pub(crate) const BOOKING: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const STRANGER: &str = "99999999-9999-4999-8999-999999999999";
/// Of the right form, and of nothing.
pub(crate) const NOTHING: &str = "0199a7de-0000-7000-8000-00000000dead";
pub(crate) const ORIGIN: &str = "http://localhost:5173";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PUBLIC_URL: &str = "http://chat.example";
pub(crate) const SERVICE_TOKEN: &str = "the-service-token";

/// Both routers, over a database of their own that knows a booking of [`CONSULTANT`] and
/// [`PATIENT`].
pub(crate) struct Site {
    pub(crate) clients: Router,
    pub(crate) internal: Router,
    pub(crate) pg: Pg,
    /// What both work with.
    pub(crate) app: App,
    pub(crate) verifier: Verifier,
    pub(crate) attachments: Option<Attachments>,
    database: Database,
    folder: Option<Folder>,
}

/// Where a site keeps files.
enum Place {
    Nowhere,
    Folder(Folder),
    Bucket(BucketSettings),
}

/// A folder that goes with its site.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It lies in the folder for temporary files anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// NATS is down wherever REST is tested: it must not matter.
struct NatsIsDown;

impl Events for NatsIsDown {
    fn publish(&self, _: Committed) -> bool {
        false
    }

    fn ready(&self) -> bool {
        false
    }
}

/// Nor are there notes of gateways.
struct NoNotes;

impl SightingLog for NoNotes {
    fn read<'a>(&'a self, _: Question<'a>) -> BoxFuture<'a, Result<Sightings, ChatError>> {
        Box::pin(async {
            Err(ChatError::Unavailable {
                dependency: "jetstream",
                source: "it is down".into(),
            })
        })
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with_policy("{}").await
    }

    /// Starts a site whose app has this policy, in TOML.
    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::with(policy, None, Place::Nowhere).await
    }

    /// Starts a site that keeps files in a bucket.
    pub(crate) async fn with_bucket(bucket: BucketSettings) -> Self {
        Self::with("{}", None, Place::Bucket(bucket)).await
    }

    /// Starts a site with a policy that keeps files.
    pub(crate) async fn with_files(policy: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("files-{}", uuid::Uuid::new_v4()));
        Self::with(policy, None, Place::Folder(Folder(folder))).await
    }

    /// Starts a site with a state of calls and presence.
    pub(crate) async fn with_state(state: RedisState) -> Self {
        Self::with("{}", Some(state), Place::Nowhere).await
    }

    async fn with(policy: &str, state: Option<RedisState>, place: Place) -> Self {
        let apps = format!(
            r#"
            [apps.jiggy]
            dialect = "consult"
            policy = {policy}
            keys = [{{ algorithm = "HS256", secret = "{SECRET}" }}]
            [apps.other]
            dialect = "care"
            keys = [{{ algorithm = "HS256", secret = "{SECRET}-of-another-app" }}]
            [apps.clinic]
            dialect = "clinic"
            keys = [{{ algorithm = "HS256", secret = "{SECRET}-of-clinic" }}]
            [apps.booking]
            dialect = "booking"
            keys = [{{ algorithm = "HS256", secret = "{SECRET}-of-booking" }}]
            "#
        );
        let apps = Arc::new(Apps::parse(&apps, Path::new("apps.toml")).unwrap());
        let (database, pg) = database().await;
        let store = Arc::new(pg.clone());
        let (calls, presence): (_, Arc<dyn PresenceState>) = match state {
            Some(state) => {
                let shared = Arc::new(state.clone());
                let calls = Calls::new(shared, store.clone(), store.clone(), Arc::clone(&apps));
                (calls, Arc::new(state))
            }
            None => (private_calls(&store, &apps), Arc::new(Nowhere)),
        };
        let app = App::new(
            store.clone(),
            store.clone(),
            Arc::new(NatsIsDown),
            calls,
            Roster::new(presence, store, Arc::clone(&apps)),
            Arc::clone(&apps),
            BatchLimits::default(),
        );
        let token: Secret = SERVICE_TOKEN.parse().unwrap();
        let (files, folder) = match place {
            Place::Nowhere => (None, None),
            Place::Folder(folder) => {
                let files = FileStore::in_folder(&folder.0, PUBLIC_URL, &token);
                (Some(files.unwrap()), Some(folder))
            }
            Place::Bucket(bucket) => (Some(FileStore::in_bucket(&bucket).unwrap()), None),
        };
        let attachments =
            files.map(|files| Attachments::new(Arc::new(pg.clone()), Arc::new(files), PUBLIC_URL));
        let app = match &attachments {
            Some(attachments) => app.with_attachments(attachments.clone()),
            None => app,
        };
        let verifier = Verifier::new(apps);
        let records = Arc::new(pg.clone());
        let custodian = Custodian::new(app.clone(), records.clone(), records, Arc::new(NoNotes));
        let site = Self {
            clients: rest::router(
                app.clone(),
                verifier.clone(),
                ice_servers(),
                Rate::new(1_000, 1_000),
            ),
            internal: rest::internal_router(custodian, &token),
            pg,
            app,
            verifier,
            attachments,
            database,
            folder,
        };
        site.seed().await;
        site
    }

    async fn seed(&self) {
        for (path, body) in [
            (
                format!("users/{CONSULTANT}"),
                json!({"role": "consultant", "name": "Dr. Ada"}),
            ),
            (
                format!("users/{PATIENT}"),
                json!({"role": "patient", "name": "Pat"}),
            ),
            (
                format!("bookings/{BOOKING}"),
                json!({"consultantId": CONSULTANT, "patientId": PATIENT}),
            ),
        ] {
            let answer = self.tell("PUT", &path, &body).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path} {answer:?}");
        }
    }

    /// Asks as another service.
    pub(crate) async fn tell(&self, method: &str, path: &str, body: &Value) -> Answer {
        Ask::new(method, &format!("/internal/v1/apps/jiggy/{path}"))
            .header("authorization", &format!("Bearer {SERVICE_TOKEN}"))
            .json(body)
            .of(&self.internal)
            .await
    }

    /// Tells of something of an app of another dialect: `other` is one of care.
    pub(crate) async fn tell_of(&self, app: &str, path: &str, body: &Value) {
        let answer = Ask::new("PUT", &format!("/internal/v1/apps/{app}/{path}"))
            .header("authorization", &format!("Bearer {SERVICE_TOKEN}"))
            .json(body)
            .of(&self.internal)
            .await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path} {answer:?}");
    }

    /// Asks as a user of an app: `app role user`.
    pub(crate) async fn ask(&self, who: &str, request: &str, body: &Value) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let ask = Ask::new(method, path).of_app(who);
        let ask = if body.is_null() { ask } else { ask.json(body) };
        ask.of(&self.clients).await
    }

    /// Asks as the consultant or the patient, below `/api/v1/chat`.
    pub(crate) async fn get(&self, role: &str, path: &str) -> Answer {
        Ask::new("GET", &format!("/api/v1/chat/{path}"))
            .role(role)
            .of(&self.clients)
            .await
    }

    pub(crate) async fn post(&self, role: &str, path: &str, body: &Value) -> Answer {
        Ask::new("POST", &format!("/api/v1/chat/{path}"))
            .role(role)
            .json(body)
            .of(&self.clients)
            .await
    }

    /// A connection past the store, to look and to meddle.
    pub(crate) async fn sql(&self) -> PgPool {
        PgPool::connect(self.database.url()).await.unwrap()
    }

    /// Returns how many rows there are of what follows `FROM`.
    pub(crate) async fn count(&self, from: &str) -> i64 {
        let sql = self.sql().await;
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {from}")))
            .fetch_one(&sql)
            .await
            .unwrap()
    }

    /// Returns the id of the booking's conversation.
    pub(crate) async fn conversation(&self) -> String {
        let answer = self.post("patient", "conversations", &meeting()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.text("id")
    }

    /// Returns how many accesses of a kind the log has, refused ones among them.
    pub(crate) async fn n_logged(&self, action: &str) -> i64 {
        let sql = self.sql().await;
        sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = $1")
            .bind(action)
            .fetch_one(&sql)
            .await
            .unwrap()
    }

    /// Returns how many files are kept, uploads that nobody sent among them.
    pub(crate) fn n_files(&self) -> usize {
        let mut folders = vec![self.folder.as_ref().unwrap().0.clone()];
        let mut n_files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    n_files += 1;
                }
            }
        }
        n_files
    }

    /// Sends a message as `role`, and returns it.
    pub(crate) async fn say(&self, role: &str, content: &str) -> Value {
        let answer = self.post(role, "messages", &message(role, content)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["message"].clone()
    }
}

pub(crate) fn ice_servers() -> IceServers {
    IceServers {
        stun_urls: vec!["stun:relay.example:3478".to_owned()],
        relay: Some(Relay {
            urls: vec!["turn:relay.example:3478?transport=udp".to_owned()],
            secret: SECRET.parse().unwrap(),
            lifetime: Duration::from_hours(1),
        }),
    }
}

/// How many sites log in at a time. A login to a fresh database is work, and has a deadline: all
/// tests at once would only wait for each other.
static SETTING_UP: Semaphore = Semaphore::const_new(2);

async fn database() -> (Database, Pg) {
    let _turn = SETTING_UP.acquire().await.unwrap();
    let version = MIGRATOR.iter().map(|it| it.version).max().unwrap();
    let migrate = async |url: String| {
        let pg = Pg::connect(&url, 1).await?;
        pg.migrate().await?;
        pg.close().await;
        Ok(())
    };
    let database = Database::create(&format!("chat_store_{version}"), migrate)
        .await
        .unwrap();
    let pg = Pg::connect(database.url(), 2).await.unwrap();
    pg.create_partitions().await.unwrap();
    (database, pg)
}

/// The body that names the booking.
pub(crate) fn meeting() -> Value {
    json!({"consultantId": CONSULTANT, "patientId": PATIENT, "bookingId": BOOKING})
}

/// The body of a message of `role`.
pub(crate) fn message(role: &str, content: &str) -> Value {
    with(&meeting(), &json!({"content": content, "senderType": role}))
}

/// Returns `base` with the fields of `changes`.
pub(crate) fn with(base: &Value, changes: &Value) -> Value {
    let mut body = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A token of `user` in `role`, for an hour.
pub(crate) fn token(user: &str, role: &str) -> String {
    signed(
        &json!({"sub": user, "role": role, "exp": now_s() + 3_600}),
        SECRET,
    )
}

pub(crate) fn expired_token() -> String {
    signed(
        &json!({"sub": PATIENT, "role": "patient", "exp": now_s() - 3_600}),
        SECRET,
    )
}

/// A token that an app of another dialect takes.
pub(crate) fn care_token() -> String {
    let secret = format!("{SECRET}-of-another-app");
    signed(
        &json!({"sub": PATIENT, "role": "patient", "exp": now_s() + 3_600}),
        &secret,
    )
}

/// A token of the patient with further claims.
pub(crate) fn token_with(changes: &Value) -> String {
    let claims = json!({"sub": PATIENT, "role": "patient", "exp": now_s() + 3_600});
    signed(&with(&claims, changes), SECRET)
}

pub(crate) fn signed(claims: &Value, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

pub(crate) fn now_s() -> i64 {
    service_kit::now().0 / 1_000
}
