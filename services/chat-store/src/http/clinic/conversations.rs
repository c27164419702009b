//! Routes on conversations.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use chat_domain::{ConversationId, PageRequest};
use dialects::clinic::{ConversationBody, MessageBody};
use http::StatusCode;

use super::{Authenticated, check_self, email};
use crate::{
    http::{
        Api,
        error::RestError,
        fields::Query,
        page::{Order, Page, Spelling, read_limit},
    },
    ports::Overview,
};

/// How many messages a page has unless the request says so.
const DEFAULT_LIMIT: u32 = 30;

/// `GET /api/conversations?user_email=`: the caller's own, those that changed last first.
pub(super) async fn list(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let user = email(&mut query, "user_email");
    let limit = read_limit(&mut query);
    query.check()?;
    check_self(&caller, user.as_ref())?;

    let limit = limit.unwrap_or(PageRequest::MAX_LIMIT);
    let found = api.app.overviews(&caller, None, limit).await?;
    let body = |one: &'_ Overview| {
        let last_at = one.last.as_ref().map(|message| message.created_at);
        serde_json::to_value(ConversationBody::new(
            &one.conversation,
            last_at,
            one.unread,
        ))
        .ok()
    };
    Ok(Json(found.iter().filter_map(body).collect::<Vec<_>>()).into_response())
}

/// `GET /api/conversations/{id}/messages`: a page of the history, oldest first.
pub(super) async fn page(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<Response, RestError> {
    let conversation = ConversationId::parse(&id)
        .map_err(|_| RestError::new(StatusCode::BAD_REQUEST, "Invalid conversation ID"))?;
    let spelling = Spelling {
        offset: "skip",
        ..Spelling::default()
    };
    let page = Page::read_as(query, &spelling, DEFAULT_LIMIT, Order::OldestFirst)?;

    let (conversation, mut messages) = api.app.page(&caller, conversation, page.request).await?;
    page.arrange(&mut messages);
    let retention = caller.app.policy.retention;
    let bodies = messages
        .iter()
        .map(|message| MessageBody::new(message, &conversation, retention));
    Ok(Json(bodies.collect::<Vec<_>>()).into_response())
}
