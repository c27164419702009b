//! Routes on conversations.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chat_domain::{PageRequest, Role};
use dialects::consult::{ConversationBody, UnreadBody};
use http::StatusCode;

use super::{A_UUID, Authenticated, InPath, Meeting, is_self, user_id};
use crate::http::{
    Api,
    error::RestError,
    fields::{JsonBody, Query},
    page::read_limit,
};

/// `GET /chat/conversations`: the caller's own, those that changed last first.
pub(super) async fn list(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let limit = read_limit(&mut query).unwrap_or(PageRequest::MAX_LIMIT);
    let (name, role) = match (query.has("consultantId"), query.has("patientId")) {
        (true, false) => ("consultantId", Role::Consultant),
        (false, true) => ("patientId", Role::Patient),
        (true, true) | (false, false) => {
            query.note("consultantId", "or patientId must be given, and not both");
            return Err(query.rejected());
        }
    };
    let user = query.required(name, A_UUID, user_id);
    query.check()?;
    if !user.is_some_and(|user| is_self(&caller, role, &user)) {
        return Err(RestError::forbidden(
            "You may only list your own conversations",
        ));
    }

    let conversations = api.app.list_conversations(&caller, limit).await?;
    let bodies: Vec<_> = conversations.iter().map(ConversationBody::from).collect();
    Ok(Json(bodies).into_response())
}

/// `POST /chat/conversations`: that of a booking, made unless it was there.
pub(super) async fn open(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let Some(meeting) = Meeting::read(&mut body) else {
        return Err(body.rejected());
    };

    let conversation = meeting.open(&api, &caller).await?;
    let body = ConversationBody::from(&conversation);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `GET /chat/conversations/{id}/unread`: how many messages the caller has not read.
pub(super) async fn unread(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    InPath(conversation): InPath,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let user = query.required("userId", A_UUID, user_id);
    query.check()?;
    if user.as_ref() != Some(&caller.user.id) {
        return Err(RestError::forbidden("You may only count your own messages"));
    }

    let unread = api.app.unread(&caller, conversation).await?;
    Ok(Json(UnreadBody::new(conversation, unread)).into_response())
}
