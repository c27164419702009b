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
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) role: &'static str,
    pub(crate) token: String,
}

impl User {
    /// Makes a user of the consult app who is known by the token alone.
    pub(crate) fn new(secret: &str, role: &'static str) -> anyhow::Result<Self> {
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
pub(crate) struct Pair {
    pub(crate) conversation: String,
    pub(crate) consultant: User,
    pub(crate) patient: User,
}

/// Makes `count` conversations, each between two new users.
pub(crate) async fn pairs(endpoints: &Endpoints, count: usize) -> anyhow::Result<Vec<Pair>> {
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
    let booking = Uuid::new_v4().to_string();
    let internal = &endpoints
        .stores
        .first()
        .context("no store is running")?
        .internal_url;
    for user in [&consultant, &patient] {
        let url = format!("{internal}/internal/v1/apps/consult/users/{}", user.id);
        let body = json!({"role": user.role, "name": "Load test"});
        put(http, &url, &endpoints.service_token, &body).await?;
    }
    let url = format!("{internal}/internal/v1/apps/consult/bookings/{booking}");
    let body = json!({"consultantId": consultant.id, "patientId": patient.id});
    put(http, &url, &endpoints.service_token, &body).await?;

    let opened: serde_json::Value = http
        .post(format!("{}/api/v1/chat/conversations", endpoints.public))
        .bearer_auth(&consultant.token)
        .json(
            &json!({"consultantId": consultant.id, "patientId": patient.id, "bookingId": booking}),
        )
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let conversation = opened["id"]
        .as_str()
        .context("a conversation without id")?
        .parse()?;
    Ok(Pair {
        conversation,
        consultant,
        patient,
    })
}

async fn put(
    http: &reqwest::Client,
    url: &str,
    token: &str,
    body: &serde_json::Value,
) -> anyhow::Result<()> {
    http.put(url)
        .bearer_auth(token)
        .json(body)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
