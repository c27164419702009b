//! Test users: their tokens, and conversations between them.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use uuid::Uuid;

use crate::endpoints::Endpoints;

/// A token that outlives any run, in seconds.
const TOKEN_TTL: u64 = 6 * 3_600;
/// Requests under way at once while users are made.
const CONCURRENCY: usize = 16;

/// A user with a token.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id, a UUID.
    pub id: String,
    /// What it writes as.
    pub role: &'static str,
    /// Its token, good for hours.
    pub token: String,
}

impl User {
    /// Makes a user of the app whose secret this is, known by the token alone.
    ///
    /// # Errors
    ///
    /// Returns that the token could not be signed.
    pub fn new(secret: &str, role: &'static str) -> anyhow::Result<Self> {
        let id = Uuid::new_v4().to_string();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let claims = json!({"sub": id, "role": role, "name": "Load test", "exp": now + TOKEN_TTL});
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key)?;
        Ok(Self { id, role, token })
    }
}

/// A conversation of two.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Its id.
    pub conversation: String,
    /// The booking that it is about.
    pub booking: String,
    /// One of the two.
    pub consultant: User,
    /// The other.
    pub patient: User,
}

/// Makes `count` conversations of the app `consult`, each between two new users.
///
/// # Errors
///
/// Returns what a store refused.
pub async fn pairs(endpoints: &Endpoints, count: usize) -> anyhow::Result<Vec<Pair>> {
    let http = reqwest::Client::builder().build()?;
    let secret = endpoints.secret("consult")?;
    stream::iter(0..count)
        .map(|_| pair(endpoints, &http, secret))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

async fn pair(endpoints: &Endpoints, http: &reqwest::Client, secret: &str) -> anyhow::Result<Pair> {
    let consultant = User::new(secret, "consultant")?;
    let patient = User::new(secret, "patient")?;
    introduce(endpoints, http, "consult", [&consultant, &patient]).await?;
    converse(endpoints, http, "consult", consultant, patient).await
}

/// Enters users into the directory of `app`.
///
/// # Errors
///
/// Returns what a store refused.
pub async fn introduce(
    endpoints: &Endpoints,
    http: &reqwest::Client,
    app: &str,
    users: impl IntoIterator<Item = &User>,
) -> anyhow::Result<()> {
    for user in users {
        let path = format!("{app}/users/{}", user.id);
        let body = json!({"role": user.role, "name": "Load test"});
        put(endpoints, http, &path, &body).await?;
    }
    Ok(())
}

/// Makes a booking of two users who are in the directory, and the conversation about it.
///
/// # Errors
///
/// Returns what a store refused.
pub async fn converse(
    endpoints: &Endpoints,
    http: &reqwest::Client,
    app: &str,
    consultant: User,
    patient: User,
) -> anyhow::Result<Pair> {
    let booking = Uuid::new_v4().to_string();
    let ids = json!({"consultantId": consultant.id, "patientId": patient.id, "bookingId": booking});
    put(endpoints, http, &format!("{app}/bookings/{booking}"), &ids).await?;

    let opened: serde_json::Value = http
        .post(format!("{}/api/v1/chat/conversations", endpoints.public))
        .bearer_auth(&consultant.token)
        .json(&ids)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let conversation = opened["id"]
        .as_str()
        .context("a conversation without id")?
        .to_owned();
    Ok(Pair {
        conversation,
        booking,
        consultant,
        patient,
    })
}

async fn put(
    endpoints: &Endpoints,
    http: &reqwest::Client,
    path: &str,
    body: &serde_json::Value,
) -> anyhow::Result<()> {
    let store = endpoints.stores.first().context("no store is running")?;
    http.put(format!("{}/internal/v1/apps/{path}", store.internal_url))
        .bearer_auth(&endpoints.service_token)
        .json(body)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
