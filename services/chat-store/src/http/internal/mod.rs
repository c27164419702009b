//! The HTTP of other services: what they tell the chat, and what officers and operators ask of it.
//!
//! It is served on a listener of its own, to bearers of the service token; users' tokens mean
//! nothing here. A `version` in a body makes the last one win: an older one changes nothing.

mod directory;
mod journey;
mod journey_body;
mod records;
mod records_body;
mod tell;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use chat_domain::{SubjectId, Timestamp, UserId};
use dialects::describe::{Kind, Property, Schemas, needed, optional};
use http::{StatusCode, request::Parts};
use service_kit::{
    Secret,
    apps::App as AppConfig,
    http::{CredentialSource, credentials},
};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    docs,
    error::{FailureBody, RestError},
    fields::Fields,
    finish, observe,
    routes::Group,
};
use crate::app::{App, Custodian};

/// What these routes have in common.
const GROUP: Group = Group {
    name: "internal",
    below: "/internal/v1/apps/{app}",
    failure: Schemas::refer::<FailureBody<'static>>,
    invalid: StatusCode::BAD_REQUEST,
    // There may be no such app.
    refused: &[StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND],
};

/// The person for whom a service asks.
const ACTOR: [Property; 1] = [needed("Chat-Actor", Kind::Text)];
/// The same where a service may act for nobody.
const ANY_ACTOR: [Property; 1] = [optional("Chat-Actor", Kind::Text)];

/// Longest name of who asks, and reason of a hold, in bytes.
const MAX_TEXT: usize = 500;

/// Returns the routes of other services, who present `token` as their bearer token, and the document of
/// them.
pub fn router(custodian: Custodian, token: &Secret) -> Router {
    let token: TokenDigest = Sha256::digest(token.expose()).into();
    let chat = custodian.app().told_by(BY);
    let (directory, of_directory) = directory::routes().finish();
    let (tell, of_tell) = tell::routes().finish();
    let (journey, of_journey) = journey::routes().finish();
    let (records, of_records) = records::routes().finish();
    let routes = directory
        .merge(tell)
        .with_state(chat)
        .merge(journey.merge(records).with_state(custodian))
        .merge(docs::of_services(vec![
            of_directory,
            of_tell,
            of_journey,
            of_records,
        ]));
    finish(routes)
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

/// The person for whom a service asks.
struct Actor(String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, RestError> {
        let name = actor(parts)?.ok_or_else(nobody_asks)?;
        Ok(Self(name.to_owned()))
    }
}

/// Returns the person for whom a service asks, if it says so.
fn actor(parts: &Parts) -> Result<Option<&str>, RestError> {
    let Some(name) = parts.headers.get("chat-actor") else {
        return Ok(None);
    };
    let name = name.to_str().ok().map(str::trim);
    name.filter(|name| !name.is_empty() && name.len() <= MAX_TEXT)
        .map(Some)
        .ok_or_else(nobody_asks)
}

fn nobody_asks() -> RestError {
    RestError::invalid(vec!["Chat-Actor must say who asks".to_owned()])
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

const AN_ID: &str = "must be an id";
const A_TEXT: &str = "must be a string without control characters";
const AN_INSTANT: &str = "must be an ISO 8601 instant";

fn find_app(chat: &App, name: &str) -> Result<Arc<AppConfig>, RestError> {
    chat.apps()
        .iter()
        .find(|app| app.id.as_str() == name)
        .cloned()
        .ok_or_else(|| RestError::new(StatusCode::NOT_FOUND, "App not found"))
}

fn in_path<T>(fields: &mut Fields, name: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        fields.note(name, AN_ID);
    }
    value
}

/// Reads the id of a user or a business.
fn user_id(app: &AppConfig, text: &str) -> Option<UserId> {
    app.dialect.user_id(text).ok()
}

fn subject_id(app: &AppConfig, text: &str) -> Option<SubjectId> {
    app.dialect.booking_id(text).ok()
}

fn text(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn instant(text: &str) -> Option<Timestamp> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp::from_datetime(instant))
}
