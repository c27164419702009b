//! What other services tell the chat: directory entries and system messages.
//!
//! It is served on a listener of its own, to bearers of the service token; users' tokens mean
//! nothing here. A `version` in a body makes the last one win: an older one changes nothing.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequest as _, FromRequestParts, Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{post, put},
};
use chat_domain::{
    AppId, Booking, Business, ClientKey, ConversationId, IssuedName, Revoked, Role, SubjectId,
    Timestamp, User, UserId,
};
use http::{StatusCode, header::CONTENT_TYPE, request::Parts};
use serde_json::{Value, json};
use service_kit::{
    Secret,
    apps::App as AppConfig,
    http::{CredentialSource, credentials},
};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    error::RestError,
    fields::{Fields, JsonBody},
    finish, internal_journey,
    internal_records::{self, MAX_TEXT},
    observe,
};
use crate::app::{App, Custodian, Target};

/// Returns the routes of other services, who present `token` as their bearer token.
pub fn router(custodian: Custodian, token: &Secret) -> Router {
    let token: TokenDigest = Sha256::digest(token.expose()).into();
    let routes = Router::new()
        .route("/users/{id}", put(put_user))
        .route("/bookings/{id}", put(put_booking))
        .route("/businesses/{id}", put(put_business))
        .route(
            "/associations/{doctor}/{patient}",
            put(put_association).delete(remove_association),
        )
        .route("/messages", post(post_message))
        .route("/revocations", post(post_revocation))
        .with_state(custodian.app().told_by(BY))
        .merge(internal_journey::routes(custodian.clone()))
        .merge(internal_records::routes(custodian));
    finish(Router::new().nest("/internal/v1/apps/{app}", routes))
        .layer(middleware::from_fn_with_state(token, authenticate))
        .layer(middleware::from_fn(observe::observe))
}

/// Who tells, in the log, unless `Chat-Actor` says more: all services have one token.
const BY: &str = "internal HTTP";

/// The use cases, for whoever `Chat-Actor` names.
struct Told(App);

impl FromRequestParts<App> for Told {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, chat: &App) -> Result<Self, RestError> {
        Ok(Self(match actor(parts)? {
            Some(name) => chat.told_by(name),
            None => chat.clone(),
        }))
    }
}

/// Returns the person for whom a service asks, if it says so.
pub(super) fn actor(parts: &Parts) -> Result<Option<&str>, RestError> {
    let Some(name) = parts.headers.get("chat-actor") else {
        return Ok(None);
    };
    let name = name.to_str().ok().map(str::trim);
    name.filter(|name| !name.is_empty() && name.len() <= MAX_TEXT)
        .map(Some)
        .ok_or_else(|| RestError::invalid(vec!["Chat-Actor must say who asks".to_owned()]))
}

/// What is kept of the service token: how long a comparison of digests takes tells nothing about it.
type TokenDigest = [u8; 32];

async fn authenticate(State(token): State<TokenDigest>, request: Request, next: Next) -> Response {
    let is_service = credentials(request.headers())
        .filter(|credential| credential.source == CredentialSource::Bearer)
        .is_some_and(|credential| Sha256::digest(credential.token).as_slice() == token);
    if !is_service {
        let message = "Service token required";
        return RestError::new(StatusCode::UNAUTHORIZED, message).into_response();
    }
    next.run(request).await
}

/// `PUT …/users/{id}` `{role, name?, email?, avatarUrl?}`
async fn put_user(
    Told(chat): Told,
    Path((app, id)): Path<(String, String)>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let id = in_path(&mut body, "id", user_id(&app, &id));
    let role = body.required("role", "must be a role of the app", |text| {
        Role::parse(text).ok()
    });
    let name = body.optional("name", A_TEXT, text);
    let email = body.optional("email", A_TEXT, text);
    let avatar_url = body.optional("avatarUrl", A_TEXT, text);
    let version = body.optional_integer("version");
    body.check()?;
    let (Some(id), Some(role)) = (id, role) else {
        return Err(body.rejected());
    };

    let user = User {
        id,
        role,
        name,
        email,
        avatar_url,
    };
    chat.put_user(&app.id, user, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT …/bookings/{id}` `{consultantId|businessId, patientId|clientId, startsAt?, endsAt?, status?}`
async fn put_booking(
    Told(chat): Told,
    Path((app, id)): Path<(String, String)>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let id = in_path(&mut body, "id", subject_id(&app, &id));
    let professional = either(&mut body, &app, "consultantId", "businessId");
    let client = either(&mut body, &app, "patientId", "clientId");
    let starts_at = body.optional("startsAt", AN_INSTANT, instant);
    let ends_at = body.optional("endsAt", AN_INSTANT, instant);
    let status = body.optional("status", A_TEXT, text);
    let version = body.optional_integer("version");
    body.check()?;
    let (Some(id), Some(professional), Some(client)) = (id, professional, client) else {
        return Err(body.rejected());
    };

    let booking = Booking {
        id,
        professional,
        client,
        starts_at,
        ends_at,
        status,
    };
    chat.put_booking(&app.id, booking, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT …/businesses/{id}` `{ownerId, name}`
async fn put_business(
    Told(chat): Told,
    Path((app, id)): Path<(String, String)>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let id = in_path(&mut body, "id", user_id(&app, &id));
    let owner = body.required("ownerId", AN_ID, |text| user_id(&app, text));
    let name = body.required("name", A_TEXT, text);
    let version = body.optional_integer("version");
    body.check()?;
    let (Some(id), Some(owner), Some(name)) = (id, owner, name) else {
        return Err(body.rejected());
    };

    let business = Business { id, owner, name };
    chat.put_business(&app.id, business, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT …/associations/{doctorId}/{patientId}`, with or without a body.
async fn put_association(
    Told(chat): Told,
    Path((app, doctor, patient)): Path<(String, String, String)>,
    request: Request,
) -> Result<StatusCode, RestError> {
    let pair = Associated::read(&chat, (&app, &doctor, &patient), request).await?;
    chat.put_association(&pair.app, pair.doctor, pair.patient, pair.version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/associations/{doctorId}/{patientId}`, with or without a body.
async fn remove_association(
    Told(chat): Told,
    Path((app, doctor, patient)): Path<(String, String, String)>,
    request: Request,
) -> Result<StatusCode, RestError> {
    let pair = Associated::read(&chat, (&app, &doctor, &patient), request).await?;
    chat.remove_association(&pair.app, pair.doctor, pair.patient, pair.version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A doctor and a patient, and the version of what is said of them.
struct Associated {
    app: AppId,
    doctor: UserId,
    patient: UserId,
    version: Option<i64>,
}

impl Associated {
    async fn read(
        chat: &App,
        (app, doctor, patient): (&str, &str, &str),
        request: Request,
    ) -> Result<Self, RestError> {
        let app = find_app(chat, app)?;
        let mut body = if request.headers().contains_key(CONTENT_TYPE) {
            JsonBody::from_request(request, &()).await?.0
        } else {
            Fields::default()
        };
        let doctor = in_path(&mut body, "doctorId", user_id(&app, doctor));
        let patient = in_path(&mut body, "patientId", user_id(&app, patient));
        let version = body.optional_integer("version");
        body.check()?;
        let (Some(doctor), Some(patient)) = (doctor, patient) else {
            return Err(body.rejected());
        };
        Ok(Self {
            app: app.id.clone(),
            doctor,
            patient,
            version,
        })
    }
}

/// `POST …/messages` `{conversationId|bookingId, content, idempotencyKey?}`
async fn post_message(
    Told(chat): Told,
    Path(app): Path<String>,
    JsonBody(mut body): JsonBody,
) -> Result<Json<Value>, RestError> {
    let app = find_app(&chat, &app)?;
    let target = if body.has("conversationId") {
        body.required("conversationId", AN_ID, |text| {
            ConversationId::parse(text).ok().map(Target::Conversation)
        })
    } else {
        body.required("bookingId", AN_ID, |text| {
            subject_id(&app, text).map(Target::Booking)
        })
    };
    let content = body.required("content", A_TEXT, |content| Some(content.to_owned()));
    let key = body.optional("idempotencyKey", AN_ID, |text| ClientKey::new(text).ok());
    body.check()?;
    let (Some(target), Some(content)) = (target, content) else {
        return Err(body.rejected());
    };

    let stored = chat
        .post_system_message(&app.id, target, &content, key)
        .await?;
    Ok(Json(json!({
        "id": stored.message.id.to_string(),
        "conversationId": stored.message.conversation.to_string(),
        "seq": stored.message.seq.0,
    })))
}

/// `POST …/revocations` `{userId|sessionId|tokenId, expiresAt?}`
async fn post_revocation(
    Told(chat): Told,
    Path(app): Path<String>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let issued_until = service_kit::now();
    let user = body.optional("userId", AN_ID, |text| user_id(&app, text));
    let session = body.optional("sessionId", AN_ID, |text| IssuedName::new(text).ok());
    let token = body.optional("tokenId", AN_ID, |text| IssuedName::new(text).ok());
    let expires_at = body.optional("expiresAt", AN_INSTANT, instant);
    body.check()?;
    let revoked = match (user, session, token) {
        (Some(user), None, None) => Revoked::User { user, issued_until },
        (None, Some(name), None) => Revoked::Session(name),
        (None, None, Some(name)) => Revoked::Token(name),
        _ => {
            body.note(
                "userId",
                "or sessionId or tokenId, one of them, must be given",
            );
            return Err(body.rejected());
        }
    };

    chat.revoke(&app.id, revoked, expires_at).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) const AN_ID: &str = "must be an id";
pub(super) const A_TEXT: &str = "must be a string without control characters";
const AN_INSTANT: &str = "must be an ISO 8601 instant";

pub(super) fn find_app(chat: &App, name: &str) -> Result<Arc<AppConfig>, RestError> {
    chat.apps()
        .iter()
        .find(|app| app.id.as_str() == name)
        .cloned()
        .ok_or_else(|| RestError::new(StatusCode::NOT_FOUND, "App not found"))
}

pub(super) fn in_path<T>(body: &mut Fields, name: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        body.note(name, AN_ID);
    }
    value
}

/// Reads the id of a user that dialects name differently.
fn either(body: &mut Fields, app: &AppConfig, name: &str, other: &str) -> Option<UserId> {
    let name = if body.has(other) { other } else { name };
    body.required(name, AN_ID, |text| user_id(app, text))
}

/// Reads the id of a user or a business.
pub(super) fn user_id(app: &AppConfig, text: &str) -> Option<UserId> {
    app.dialect.user_id(text).ok()
}

fn subject_id(app: &AppConfig, text: &str) -> Option<SubjectId> {
    app.dialect.booking_id(text).ok()
}

pub(super) fn text(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn instant(text: &str) -> Option<Timestamp> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp::from_datetime(instant))
}
