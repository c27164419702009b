//! REST of the care dialect: `/chat`, `/users` for patients and `/doctors` for doctors.
//!
//! Handlers translate, as in consult. Answers are `{success, message?, data?}`.

mod attachments;
mod chat;
mod roles;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    middleware::map_response,
    response::Response,
    routing::{get, post, put},
};
use chat_domain::{Dialect, Role, UserId};
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
        .route("/chat/conversations", get(chat::list))
        .route("/chat/conversations/{id}", get(chat::page))
        .route("/chat/conversations/{id}/read", put(chat::mark_read))
        .route(
            "/chat/conversations/{id}/attachments",
            post(attachments::announce),
        )
        .route("/chat/attachments/{id}", get(attachments::read))
        .route("/chat/unread-count", get(chat::unread))
        .route("/chat/online-status", post(chat::online))
        .route("/chat/search", get(chat::search))
        .route("/users/send-message", post(roles::send_to_doctor))
        .route("/users/conversations", get(roles::list))
        .route("/users/conversations/{id}", get(roles::page))
        .route("/users/conversations/{id}/read", put(roles::mark_read))
        .route("/users/unread-count", get(roles::unread))
        .route(
            "/doctors/patients/{id}/messages",
            get(roles::page_with_patient).post(roles::send_to_patient),
        )
        .layer(map_response(async |response: Response| {
            restyle(style, response)
        }))
}

/// How these routes tell a failure.
fn style(error: &RestError) -> (StatusCode, Value) {
    let message = match error.token {
        Some(TokenError::Role) => "No access",
        Some(TokenError::Missing | TokenError::Invalid | TokenError::Expired) => "access denied",
        None => error.sentence(),
    };
    (
        error.status,
        json!({ "success": false, "message": message }),
    )
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Care, parts).map(Self)
    }
}

impl Authenticated {
    /// Refuses a caller of another role.
    fn only(self, role: Role) -> Result<Caller, RestError> {
        if self.0.user.role == role {
            return Ok(self.0);
        }
        Err(RestError::token(TokenError::Role))
    }
}

/// The other user, whom the path names.
struct Peer(UserId);

impl FromRequestParts<Api> for Peer {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        let text = Path::<String>::from_request_parts(parts, api).await;
        text.ok()
            .and_then(|Path(text)| Dialect::Care.user_id(&text).ok())
            .map(Self)
            .ok_or_else(|| RestError::invalid(vec!["The user id is not valid".to_owned()]))
    }
}
