//! Routes on files that users attach.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::Authenticated;
use crate::{
    app::Target,
    http::{Api, error::RestError, fields::JsonBody, files},
};

/// `POST /api/messages/booking/{id}/attachments` `{fileName, contentType, size}`
pub(super) async fn announce(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let booking = caller.app.dialect.booking_id(&id)?;
    let Some(announced) = files::read_announced(&mut body, "is required") else {
        return Err(body.rejected());
    };

    let target = Target::Booking(booking);
    let upload = files::announce(&api, &caller, target, announced).await?;
    Ok((StatusCode::CREATED, Json(files::upload_body(&upload))).into_response())
}

/// `GET /api/messages/attachments/{id}`
pub(super) async fn read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Response, RestError> {
    files::give(&api, &caller, &id).await
}
