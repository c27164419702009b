//! Routes on files that users attach, the same for both roles.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use dialects::care::Success;
use http::StatusCode;

use super::{Authenticated, Peer};
use crate::{
    app::Target,
    http::{Api, error::RestError, fields::JsonBody, files},
};

/// `POST /chat/conversations/{id}/attachments` `{fileName, contentType, size}`, for the conversation with
/// another user.
pub(super) async fn announce(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Peer(peer): Peer,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let Some(announced) = files::read_announced(&mut body, "is required") else {
        return Err(body.rejected());
    };

    let upload = files::announce(&api, &caller, Target::Peer(peer), announced).await?;
    let body = Success::of(files::upload_body(&upload));
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `GET /chat/attachments/{id}`
pub(super) async fn read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Response, RestError> {
    files::give(&api, &caller, &id).await
}
