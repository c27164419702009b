//! Routes on messages.

use axum::{
    Extension, Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use chat_domain::{ChatError, Dialect, MessageId};
use dialects::clinic::{MessageBody, ReadBody, UnreadBody};
use http::{HeaderMap, StatusCode};
use service_kit::TraceParent;

use super::{Authenticated, REQUIRED, check_self, email};
use crate::{
    app::Target,
    http::{
        Api,
        error::RestError,
        fields::{JsonBody, Query},
        outgoing::{names_file, no_result, origin, read_message},
    },
};

/// How this dialect spells what all have.
const SPELLINGS: [(&str, &str); 5] = [
    ("attachment_id", "attachmentId"),
    ("file_url", "fileUrl"),
    ("file_name", "fileName"),
    ("message_type", "messageType"),
    ("client_message_id", "clientMessageId"),
];

/// `POST /api/messages` `{sender_email?, receiver_email, content, conversation_id?}`
pub(super) async fn send(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    for (from, to) in SPELLINGS {
        body.rename(from, to);
    }
    let sender = body.optional("sender_email", "must be an e-mail", |text| {
        Dialect::Clinic.user_id(text.trim()).ok()
    });
    let receiver = email(&mut body, "receiver_email");
    if !body.has("content") && !names_file(&body) {
        body.note("content", REQUIRED);
    }
    body.check()?;
    check_self(&caller, sender.as_ref())?;
    if body.text("content").is_none() && !names_file(&body) {
        return Err(RestError::new(
            StatusCode::BAD_REQUEST,
            "Invalid message data",
        ));
    }
    let message = read_message(&mut body, "content", &headers, &caller);
    body.check()?;
    let (Some(receiver), Some(message)) = (receiver, message) else {
        return Err(body.rejected());
    };

    let target = Target::Peer(receiver);
    let mut appended = api
        .app
        .append(&caller, target, vec![message], origin(trace))
        .await
        .map_err(told)?;
    let stored = appended.results.pop().ok_or_else(no_result)??;
    let retention = caller.app.policy.retention;
    let body = MessageBody::new(&stored.message, &appended.conversation, retention);
    Ok(Json(body).into_response())
}

/// Says of a message to its own sender that it is a bad request, not that a field is malformed.
fn told(error: ChatError) -> RestError {
    if matches!(error, ChatError::ToOneself) {
        return RestError::new(StatusCode::BAD_REQUEST, error.to_string());
    }
    error.into()
}

/// `POST /api/messages/{id}/read`
pub(super) async fn mark_read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    Path(id): Path<String>,
) -> Result<Response, RestError> {
    let id = MessageId::parse(&id)
        .map_err(|_| RestError::new(StatusCode::BAD_REQUEST, "Invalid message ID"))?;

    let read_at = api.app.read_one(&caller, id, origin(trace)).await?;
    Ok(Json(ReadBody::new(id, read_at)).into_response())
}

/// `GET /api/messages/unread-count?user_email=`
pub(super) async fn unread(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let user = email(&mut query, "user_email");
    query.check()?;
    check_self(&caller, user.as_ref())?;

    let unread_count = api.app.unread_of_all(&caller).await?;
    Ok(Json(UnreadBody { unread_count }).into_response())
}
