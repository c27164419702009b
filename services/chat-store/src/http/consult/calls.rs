//! Routes on calls: what was, for those who were in it. Calling itself is for sockets.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use chat_domain::call::CallId;
use dialects::consult::CallBody;
use uuid::Uuid;

use super::{A_UUID, Authenticated, uuid};
use crate::http::{Api, error::RestError, fields::Query, page::read_limit};

/// How many calls a page has unless the request says so.
const DEFAULT_LIMIT: u32 = 50;

/// `GET /chat/calls`: the caller's calls, newest first, `before` one of them.
pub(super) async fn list(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let limit = read_limit(&mut query).unwrap_or(DEFAULT_LIMIT);
    let before = query.optional("before", A_UUID, call_id);
    query.check()?;

    let calls = api
        .app
        .calls()
        .list((&caller).into(), before, limit)
        .await?;
    let bodies: Vec<_> = calls.iter().map(CallBody::from).collect();
    Ok(Json(bodies).into_response())
}

/// `GET /chat/calls/{id}`: a call that the caller was in.
pub(super) async fn find(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Result<Response, RestError> {
    let Some(id) = call_id(&id) else {
        return Err(RestError::invalid(vec![format!("callId {A_UUID}")]));
    };

    let call = api.app.calls().find((&caller).into(), id).await?;
    Ok(Json(CallBody::from(&call)).into_response())
}

fn call_id(text: &str) -> Option<CallId> {
    Uuid::try_parse(&uuid(text)?).ok().map(CallId)
}
