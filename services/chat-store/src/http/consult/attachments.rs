//! Routes on files that users attach.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::{Authenticated, InPath};
use crate::{
    app::Target,
    http::{Api, error::RestError, fields::JsonBody, files},
};

/// `POST /chat/conversations/{id}/attachments` `{fileName, contentType, size}`
pub(super) async fn announce(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    InPath(conversation): InPath,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let Some(announced) = files::read_announced(&mut body, "is required") else {
        return Err(body.rejected());
    };

    let target = Target::Conversation(conversation);
    let upload = files::announce(&api, &caller, target, announced).await?;
    Ok((StatusCode::CREATED, Json(files::upload_body(&upload))).into_response())
}

/// `GET /chat/attachments/{id}`
pub(super) async fn read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Response, RestError> {
    files::give(&api, &caller, &id).await
}
