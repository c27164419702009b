//! Routes for one role alone: `/users` is for patients, `/doctors` for doctors.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chat_domain::{Dialect, Role, UserId};
use dialects::care::{MessageBody, Success};
use http::{HeaderMap, StatusCode};
use service_kit::TraceParent;

use super::{Authenticated, Peer, chat};
use crate::{
    app::{Caller, NewMessage, Target},
    http::{
        Api,
        error::RestError,
        fields::{JsonBody, Query},
        outgoing::{names_file, no_result, origin, read_message},
    },
};

const SENT: &str = "Message sent successfully";

/// `POST /users/send-message` `{doctorId, content, messageType?, fileUrl?, fileName?}`
pub(super) async fn send_to_doctor(
    State(api): State<Api>,
    user: Authenticated,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let caller = user.only(Role::Patient)?;
    let doctor = body
        .text("doctorId")
        .and_then(|text| Dialect::Care.user_id(text).ok());
    let is_said = body.text("content").is_some() || names_file(&body);
    let Some(doctor) = doctor.filter(|_| is_said) else {
        return Err(RestError::invalid(vec![
            "Doctor ID and content are required".to_owned(),
        ]));
    };
    let message = read_message(&mut body, "content", &headers, &caller);
    body.check()?;
    let message = message.ok_or_else(|| body.rejected())?;

    send(&api, &caller, doctor, message, (StatusCode::CREATED, trace)).await
}

/// `POST /doctors/patients/{id}/messages` `{message, …}`
pub(super) async fn send_to_patient(
    State(api): State<Api>,
    user: Authenticated,
    Extension(trace): Extension<TraceParent>,
    Peer(patient): Peer,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let caller = user.only(Role::Doctor)?;
    if body.text("message").is_none() && !names_file(&body) {
        return Err(RestError::invalid(vec!["Message is required".to_owned()]));
    }
    let message = read_message(&mut body, "message", &headers, &caller);
    body.check()?;
    let message = message.ok_or_else(|| body.rejected())?;

    send(&api, &caller, patient, message, (StatusCode::OK, trace)).await
}

async fn send(
    api: &Api,
    caller: &Caller,
    peer: UserId,
    message: NewMessage,
    (status, trace): (StatusCode, TraceParent),
) -> Result<Response, RestError> {
    let mut appended = api
        .app
        .append(caller, Target::Peer(peer), vec![message], origin(trace))
        .await?;
    let stored = appended.results.pop().ok_or_else(no_result)??;
    let body = MessageBody::new(&stored.message, &appended.conversation);
    Ok((status, Json(Success::saying(SENT, body))).into_response())
}

/// `GET /doctors/patients/{id}/messages`
pub(super) async fn page_with_patient(
    State(api): State<Api>,
    user: Authenticated,
    Peer(patient): Peer,
    Query(query): Query,
) -> Result<Response, RestError> {
    chat::page_of(&api, &user.only(Role::Doctor)?, &patient, query).await
}

/// `GET /users/conversations`
pub(super) async fn list(
    State(api): State<Api>,
    user: Authenticated,
    Query(query): Query,
) -> Result<Response, RestError> {
    chat::list_of(&api, &user.only(Role::Patient)?, query).await
}

/// `GET /users/conversations/{id}`
pub(super) async fn page(
    State(api): State<Api>,
    user: Authenticated,
    Peer(doctor): Peer,
    Query(query): Query,
) -> Result<Response, RestError> {
    chat::page_of(&api, &user.only(Role::Patient)?, &doctor, query).await
}

/// `PUT /users/conversations/{id}/read`
pub(super) async fn mark_read(
    State(api): State<Api>,
    user: Authenticated,
    Extension(trace): Extension<TraceParent>,
    Peer(doctor): Peer,
) -> Result<Response, RestError> {
    chat::mark_read_of(&api, &user.only(Role::Patient)?, &doctor, trace).await
}

/// `GET /users/unread-count`
pub(super) async fn unread(
    State(api): State<Api>,
    user: Authenticated,
) -> Result<Response, RestError> {
    chat::unread_of(&api, &user.only(Role::Patient)?).await
}
