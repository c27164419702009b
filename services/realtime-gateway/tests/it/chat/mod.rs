//! The chat over real `WebSocket`s and a real NATS, with a store in memory behind the port.
//!
//! `NATS_URL` names the server; `cargo xtask test` sets it, `cargo xtask servers` starts one.

mod client;
mod peers;
mod proxy;
mod store;
mod switchboard;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use chat_domain::{AppId, ConversationId, UserId};
use chat_proto::{
    subject,
    v1::{self, envelope::Body},
};
use clap::Parser as _;
use jsonwebtoken::{EncodingKey, Header, encode};
use prost::Message as _;
use realtime_gateway::{
    config::Config,
    nats::{InterestConnection, NatsPublisher},
    peers::Peers,
    ports::Interest as _,
    wiring::{self, Ports, Serving},
};
use serde_json::{Value, json};
use service_kit::Service;
use uuid::Uuid;

pub(crate) use client::{Client, DEADLINE, Heard};
pub(crate) use proxy::Proxy;
pub(crate) use store::{FakeStore, Fate};

/// One app for each dialect, named after it.
const APPS: [&str; 4] = ["consult", "care", "clinic", "booking"];

fn secret(app: &str) -> String {
    format!("{app}-0123456789abcdef0123456789abcdef")
}

/// A store and what connects gateways to it. Each test has its own, with users of its own.
pub(crate) struct World {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) consultant: UserId,
    pub(crate) patient: UserId,
    nats: async_nats::Client,
    apps_file: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        // It lies in the folder for temporary files anyway.
        let _ = std::fs::remove_file(&self.apps_file);
    }
}

/// A running gateway. It ends with the value.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    service: Service,
}

impl Gateway {
    /// Tells the gateway to end, and waits until it has.
    pub(crate) async fn drain(&self) {
        self.service.lifecycle.soft().cancel();
        let tracker = self.service.lifecycle.tracker();
        tracker.close();
        tokio::time::timeout(DEADLINE, tracker.wait())
            .await
            .expect("the gateway ends in time");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.service.lifecycle.soft().cancel();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::declaring(&[]).await
    }

    /// Makes one with apps whose clients need no token.
    pub(crate) async fn declaring(declared: &[&str]) -> Self {
        let nats = async_nats::connect(nats_url()).await.unwrap();
        let apps_file = std::env::temp_dir().join(format!("apps-{}.toml", Uuid::new_v4()));
        let apps: String = APPS
            .map(|app| {
                let secret = secret(app);
                let is_declared = declared.contains(&app);
                let identity = if is_declared {
                    "identity = \"declared\""
                } else {
                    ""
                };
                format!(
                    "[apps.{app}]\ndialect = \"{app}\"\n{identity}\n\
                     [[apps.{app}.keys]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n"
                )
            })
            .concat();
        std::fs::write(&apps_file, apps).unwrap();
        Self {
            store: FakeStore::new(nats.clone()),
            consultant: new_user(),
            patient: new_user(),
            nats,
            apps_file,
        }
    }

    pub(crate) async fn gateway(&self) -> Gateway {
        self.gateway_with(&nats_url(), &[]).await
    }

    /// Starts a gateway whose users' events come over `interest_url`, with more settings.
    pub(crate) async fn gateway_with(&self, interest_url: &str, settings: &[&str]) -> Gateway {
        let apps_file = format!("--apps-file={}", self.apps_file.display());
        let fixed = ["gateway", "--listen=127.0.0.1:0", &apps_file];
        let config = Config::parse_from(fixed.iter().chain(settings));
        let service = Service::detached();
        let (publisher, signals) = NatsPublisher::new();
        let interest_url = format!("--nats-url={interest_url}");
        let interest = Config::parse_from(["gateway", &apps_file, &interest_url]);
        let interest = interest.nats.access().unwrap();
        let ports = Ports {
            requests: Arc::new(store::ToStore(Arc::clone(&self.store))),
            publisher: Arc::new(publisher),
            interest: Arc::new(InterestConnection::new(interest, "test".to_owned())),
            peers: Peers::new("test", 0),
        };
        let interest = Arc::clone(&ports.interest);
        let serving = wiring::serve(&service, &config, ports).await.unwrap();
        let Serving { address, over } = serving;
        let signals = signals.send(self.nats.clone(), over);
        service.lifecycle.spawn("signals", signals);
        // Interest that is not confirmed is legal, but not what most tests are about.
        let confirm = async {
            while interest.confirmed().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, confirm).await.unwrap();
        Gateway { address, service }
    }

    /// Starts a gateway with more settings.
    pub(crate) async fn gateway_settings(&self, settings: &[&str]) -> Gateway {
        self.gateway_with(&nats_url(), settings).await
    }

    /// Hears what is published on a subject.
    pub(crate) async fn listen(&self, subject: &str) -> async_nats::Subscriber {
        let heard = self.nats.subscribe(subject.to_owned()).await.unwrap();
        self.nats.flush().await.unwrap();
        heard
    }

    /// Publishes an envelope for a user, as a store does.
    pub(crate) async fn tell(&self, app: &AppId, user: &UserId, body: Body) {
        let envelope = v1::Envelope {
            version: 1,
            app: app.as_str().to_owned(),
            body: Some(body),
            ..v1::Envelope::default()
        };
        let payload = envelope.encode_to_vec().into();
        let subject = subject::user(app, user);
        self.nats.publish(subject, payload).await.unwrap();
    }

    /// Gives an app a policy, in TOML, at gateways that start from now on.
    pub(crate) fn set_policy(&self, app: &str, policy: &str) {
        let apps = std::fs::read_to_string(&self.apps_file).unwrap();
        let apps = format!("{apps}[apps.{app}.policy]\n{policy}\n");
        std::fs::write(&self.apps_file, apps).unwrap();
    }

    /// Makes somebody else.
    pub(crate) fn user() -> UserId {
        new_user()
    }

    pub(crate) async fn connect(&self, gateway: &Gateway, user: &UserId, role: &str) -> Client {
        Client::connect(gateway.address, &token(user, role)).await
    }

    pub(crate) async fn connect_consultant(&self, gateway: &Gateway) -> Client {
        self.connect(gateway, &self.consultant, "consultant").await
    }

    /// Makes a conversation of the two.
    pub(crate) fn converse(&self) -> ConversationId {
        self.store.converse(&self.consultant, &self.patient)
    }

    /// Has the consultant's socket join.
    pub(crate) async fn join_consultant(&self, client: &mut Client, id: ConversationId) {
        join(client, id, &self.consultant, "consultant").await;
    }

    /// Has the patient's socket join.
    pub(crate) async fn join_patient(&self, client: &mut Client, id: ConversationId) {
        join(client, id, &self.patient, "patient").await;
    }

    pub(crate) async fn connect_patient(&self, gateway: &Gateway) -> Client {
        self.connect(gateway, &self.patient, "patient").await
    }
}

fn new_user() -> UserId {
    UserId::new(&Uuid::new_v4().to_string()).unwrap()
}

async fn join(client: &mut Client, id: ConversationId, user: &UserId, role: &str) {
    let id = id.to_string();
    let payload = json!({ "conversationId": id, "userId": user.as_str(), "userType": role });
    client.emit("join_conversation", &payload).await;
    let joined = client.expect("joined_conversation").await;
    assert_eq!(joined["conversationId"], id);
}

/// The payload of `send_message`.
pub(crate) fn message(conversation: ConversationId, content: &str, role: &str) -> Value {
    json!({
        "conversationId": conversation.to_string(),
        "content": content,
        "senderType": role,
    })
}

pub(crate) fn nats_url() -> String {
    std::env::var("NATS_URL").expect("NATS_URL names a server; `cargo xtask servers` starts one")
}

/// Makes a token that is good for an hour.
pub(crate) fn token(user: &UserId, role: &str) -> String {
    token_until(user, role, now_s() + 3_600)
}

pub(crate) fn token_until(user: &UserId, role: &str, exp: u64) -> String {
    let claims = json!({ "sub": user.as_str(), "role": role, "exp": exp });
    sign("consult", &claims)
}

/// Makes a token of an app that is good for an hour.
pub(crate) fn token_of(app: &str, user: &str, role: &str) -> String {
    let claims = json!({ "sub": user, "email": user, "role": role, "exp": now_s() + 3_600 });
    sign(app, &claims)
}

pub(crate) fn sign(app: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret(app).as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

pub(crate) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// Waits for a condition.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .expect("the condition holds in time");
}
