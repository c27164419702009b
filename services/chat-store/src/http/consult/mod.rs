//! REST of the consult dialect, below `/api/v1`.
//!
//! Handlers translate: they read a request, call one use case and write its answer. Who may do what
//! is decided there, but for requests that name users: those must be the caller.

mod attachments;
mod calls;
mod conversations;
mod ice_servers;
mod messages;
mod presence;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    routing::{get, post},
};
use chat_domain::{Conversation, ConversationId, Dialect, Role, SubjectId, UserId};
use http::request::Parts;
use uuid::Uuid;

use super::{Api, auth, error::RestError, fields::Fields};
use crate::app::Caller;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route(
            "/chat/conversations",
            get(conversations::list).post(conversations::open),
        )
        .route("/chat/conversations/{id}/messages", get(messages::page))
        .route(
            "/chat/conversations/{id}/unread",
            get(conversations::unread),
        )
        .route("/chat/conversations/{id}/read", post(messages::mark_read))
        .route(
            "/chat/conversations/{id}/attachments",
            post(attachments::announce),
        )
        .route("/chat/attachments/{id}", get(attachments::read))
        .route("/chat/messages", post(messages::send))
        .route("/chat/search", get(messages::search))
        .route("/chat/calls", get(calls::list))
        .route("/chat/calls/{id}", get(calls::find))
        .route("/chat/presence", get(presence::list))
        .route("/chat/ice-servers", get(ice_servers::list))
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Consult, parts).map(Self)
    }
}

/// The conversation that the path names.
struct InPath(ConversationId);

impl FromRequestParts<Api> for InPath {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        let text = Path::<String>::from_request_parts(parts, api).await;
        text.ok()
            .and_then(|Path(text)| ConversationId::parse(&text).ok())
            .map(Self)
            .ok_or_else(|| RestError::invalid(vec![format!("conversationId {A_UUID}")]))
    }
}

/// What a booking brings together.
struct Meeting {
    consultant: UserId,
    patient: UserId,
    booking: SubjectId,
}

impl Meeting {
    /// Reads `consultantId`, `patientId` and `bookingId`.
    fn read(body: &mut Fields) -> Option<Self> {
        let consultant = body.required("consultantId", A_UUID, user_id);
        let patient = body.required("patientId", A_UUID, user_id);
        let booking = body.required("bookingId", A_UUID, booking_id);
        Some(Self {
            consultant: consultant?,
            patient: patient?,
            booking: booking?,
        })
    }

    /// Returns its conversation, made unless it was there.
    async fn open(self, api: &Api, caller: &Caller) -> Result<Conversation, RestError> {
        let takes_part = is_self(caller, Role::Consultant, &self.consultant)
            || is_self(caller, Role::Patient, &self.patient);
        if !takes_part {
            return Err(RestError::forbidden("You are neither of the two users"));
        }
        let conversation = api
            .app
            .open_conversation(caller, self.consultant, self.patient, self.booking)
            .await?;
        Ok(conversation)
    }
}

/// What is wrong with a text that is no UUID.
const A_UUID: &str = "must be a UUID";

/// Reads the id of a booking.
pub(super) fn booking_id(text: &str) -> Option<SubjectId> {
    SubjectId::new(&uuid(text)?).ok()
}

/// Reads the id of a user.
pub(super) fn user_id(text: &str) -> Option<UserId> {
    UserId::new(&uuid(text)?).ok()
}

/// Reads a UUID in its hyphenated form; letters of either case are the same id.
fn uuid(text: &str) -> Option<String> {
    let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    Some(uuid.to_string())
}

/// Tells whether the caller is `user` in `role`.
fn is_self(caller: &Caller, role: Role, user: &UserId) -> bool {
    caller.user.role == role && &caller.user.id == user
}
