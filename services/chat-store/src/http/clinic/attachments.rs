//! Routes on files that users attach.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};

use super::{Authenticated, REQUIRED, email};
use crate::{
    app::Target,
    http::{Api, error::RestError, fields::JsonBody, files},
};

/// `POST /api/attachments` `{receiver_email, file_name, content_type, size}`
pub(super) async fn announce(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    body.rename("file_name", "fileName");
    body.rename("content_type", "contentType");
    let receiver = email(&mut body, "receiver_email");
    let announced = files::read_announced(&mut body, REQUIRED);
    let (Some(receiver), Some(announced)) = (receiver, announced) else {
        return Err(body.rejected());
    };

    let upload = files::announce(&api, &caller, Target::Peer(receiver), announced).await?;
    Ok(Json(files::upload_body(&upload).in_snake_case()).into_response())
}

/// `GET /api/attachments/{id}`
pub(super) async fn read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Response, RestError> {
    files::give(&api, &caller, &id).await
}
