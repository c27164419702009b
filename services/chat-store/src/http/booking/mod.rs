//! REST of the booking dialect, below `/api/messages`.
//!
//! Handlers translate, as in consult. Failures are `{msg}`.

mod attachments;
mod lists;
mod messages;

use axum::{
    Router,
    extract::FromRequestParts,
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, get, post},
};
use chat_domain::Dialect;
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use service_kit::auth::TokenError;

use super::{
    Api, auth,
    error::{RestError, restyle},
};
use crate::app::Caller;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/api/messages/booking/{id}", get(messages::page))
        .route(
            "/api/messages/booking/{id}/attachments",
            post(attachments::announce),
        )
        .route("/api/messages/attachments/{id}", get(attachments::read))
        .route("/api/messages/my-conversations", get(lists::own))
        .route(
            "/api/messages/business/{id}/conversations",
            get(lists::of_business),
        )
        .route("/api/messages/mark-read", post(messages::mark_read))
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
    let msg = match error.token {
        Some(TokenError::Missing) => "No token, authorization denied",
        Some(TokenError::Invalid | TokenError::Expired) => "Token is not valid",
        Some(TokenError::Role) => "Unauthorized",
        None => error.sentence(),
    };
    (error.status, json!({ "msg": msg }))
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Booking, parts).map(Self)
    }
}
