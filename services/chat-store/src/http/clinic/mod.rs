//! REST of the clinic dialect, below `/api`.
//!
//! Handlers translate, as in consult. Failures are `{detail}`, and what is missing or malformed is told
//! as `FastAPI` does: 422 with a list of places.

mod attachments;
mod conversations;
mod messages;
mod users;

use axum::{
    Router,
    extract::FromRequestParts,
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, get, post},
};
use chat_domain::{Dialect, UserId};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    Api, auth,
    error::{RestError, restyle},
    fields::Fields,
};
use crate::app::Caller;

/// The rule of a field that must be there.
const REQUIRED: &str = "Field required";

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/api/conversations", get(conversations::list))
        .route("/api/conversations/{id}/messages", get(conversations::page))
        .route("/api/attachments", post(attachments::announce))
        .route("/api/attachments/{id}", get(attachments::read))
        .route("/api/messages/{id}/read", post(messages::mark_read))
        .route("/api/messages/unread-count", get(messages::unread))
        .route("/api/users/search", get(users::search))
        .layer(map_response(async |response: Response| {
            restyle(style, response)
        }))
}

/// `POST /api/messages`, a path that another dialect has too.
pub(super) fn post_message() -> MethodRouter<Api> {
    post(messages::send).layer(map_response(async |response: Response| {
        restyle(style, response)
    }))
}

/// How these routes tell a failure.
fn style(error: &RestError) -> (StatusCode, Value) {
    if error.status != StatusCode::BAD_REQUEST || error.details.is_empty() {
        return (error.status, json!({ "detail": error.message }));
    }
    let lacking = |detail: &String| {
        let (name, rule) = detail.split_once(' ').unwrap_or(("", detail));
        let (kind, text) = match rule {
            REQUIRED => ("missing", REQUIRED.to_owned()),
            _ => ("value_error", detail.clone()),
        };
        json!({ "type": kind, "loc": [error.place, name], "msg": text, "input": null })
    };
    let details: Vec<Value> = error.details.iter().map(lacking).collect();
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        json!({ "detail": details }),
    )
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Clinic, parts).map(Self)
    }
}

/// Refuses a user whom a field names and who is not the caller.
fn check_self(caller: &Caller, user: Option<&UserId>) -> Result<(), RestError> {
    match user {
        Some(user) if user != &caller.user.id => {
            Err(RestError::forbidden("You may only act for yourself"))
        }
        _ => Ok(()),
    }
}

/// Reads the e-mail `name`, which must be there.
fn email(fields: &mut Fields, name: &str) -> Option<UserId> {
    fields.required(name, REQUIRED, |text| {
        Dialect::Clinic.user_id(text.trim()).ok()
    })
}
