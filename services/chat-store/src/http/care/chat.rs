//! Routes for both roles.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chat_domain::{Conversation, Message, PageRequest, UserId};
use dialects::care::{ConversationBody, MessageBody, OnlineBody, Success, UnreadBody};
use serde_json::Value;
use service_kit::TraceParent;

use super::{Authenticated, Peer};
use crate::{
    app::{Caller, Found},
    http::{
        Api,
        error::RestError,
        fields::{Fields, JsonBody, Query},
        outgoing::origin,
        page::{Order, Page, Spelling, read_limit},
    },
    ports::Overview,
};

/// How many messages a page has unless the request says so, and at most.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;

/// `GET /chat/conversations`: the caller's own, those that changed last first.
pub(super) async fn list(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(query): Query,
) -> Result<Response, RestError> {
    list_of(&api, &caller, query).await
}

pub(super) async fn list_of(
    api: &Api,
    caller: &Caller,
    mut query: Fields,
) -> Result<Response, RestError> {
    let limit = read_limit(&mut query);
    query.check()?;

    let limit = limit.unwrap_or(PageRequest::MAX_LIMIT);
    let found = api.app.overviews(caller, None, limit).await?;
    let bodies = found.iter().filter_map(|one| body(caller, one));
    Ok(Json(Success::of(bodies.collect::<Vec<_>>())).into_response())
}

fn body<'a>(caller: &Caller, overview: &'a Overview) -> Option<ConversationBody<'a>> {
    let Overview {
        conversation,
        last,
        unread,
    } = overview;
    let peer = conversation.peer_of(&caller.user.id)?;
    let last = last.as_ref();
    Some(ConversationBody::new(conversation, peer, last, *unread))
}

/// `GET /chat/conversations/{id}`: a page of the history with another user, oldest first.
pub(super) async fn page(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Peer(peer): Peer,
    Query(query): Query,
) -> Result<Response, RestError> {
    page_of(&api, &caller, &peer, query).await
}

pub(super) async fn page_of(
    api: &Api,
    caller: &Caller,
    peer: &UserId,
    query: Fields,
) -> Result<Response, RestError> {
    let spelling = Spelling {
        offset: "skip",
        max_limit: MAX_LIMIT,
    };
    let page = Page::read_as(query, &spelling, DEFAULT_LIMIT, Order::OldestFirst)?;

    let mut found = api.app.page_with(caller, peer, page.request).await?;
    if let Some((_, messages)) = &mut found {
        page.arrange(messages);
    }
    let body = |(conversation, messages): &(Conversation, Vec<Message>)| {
        let bodies = messages
            .iter()
            .map(|message| MessageBody::new(message, conversation));
        Json(Success::of(bodies.collect::<Vec<_>>())).into_response()
    };
    let nothing = || Json(Success::of([(); 0])).into_response();
    Ok(found.as_ref().map_or_else(nothing, body))
}

/// `PUT /chat/conversations/{id}/read`: marks everything that the other user sent.
pub(super) async fn mark_read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    Peer(peer): Peer,
) -> Result<Response, RestError> {
    mark_read_of(&api, &caller, &peer, trace).await
}

pub(super) async fn mark_read_of(
    api: &Api,
    caller: &Caller,
    peer: &UserId,
    trace: TraceParent,
) -> Result<Response, RestError> {
    let origin = origin(trace);
    api.app.read_peer(caller.into(), peer, origin).await?;
    Ok(Json(Success::done("Messages marked as read")).into_response())
}

/// `GET /chat/unread-count`: in all conversations.
pub(super) async fn unread(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Response, RestError> {
    unread_of(&api, &caller).await
}

pub(super) async fn unread_of(api: &Api, caller: &Caller) -> Result<Response, RestError> {
    let unread_count = api.app.unread_of_all(caller).await?;
    Ok(Json(Success::of(UnreadBody { unread_count })).into_response())
}

/// `POST /chat/online-status` `{userIds}`: who of them is there, as far as the caller may know.
pub(super) async fn online(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    JsonBody(body): JsonBody,
) -> Result<Response, RestError> {
    let Some(ids) = body.get("userIds").and_then(Value::as_array) else {
        return Err(RestError::invalid(vec![
            "userIds must be an array".to_owned(),
        ]));
    };
    let user = |id: &Value| UserId::new(id.as_str()?).ok();
    let users: Option<Vec<UserId>> = ids.iter().map(user).collect();
    let users =
        users.ok_or_else(|| RestError::invalid(vec!["userIds must be user ids".to_owned()]))?;

    let seen = api.app.roster().find((&caller).into(), &users).await?;
    let bodies = users.iter().zip(seen);
    let bodies = bodies.map(|(user, presence)| OnlineBody::new(user, presence));
    Ok(Json(Success::of(bodies.collect::<Vec<_>>())).into_response())
}

/// `GET /chat/search?query=`: the conversations that people, or messages, of that text are in.
pub(super) async fn search(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(query): Query,
) -> Result<Response, RestError> {
    let Some(text) = query.text("query") else {
        return Err(RestError::invalid(vec![
            "Search query is required".to_owned(),
        ]));
    };

    let found = api.app.search_conversations(&caller, text).await?;
    let body = |found: &'_ Found| {
        let conversation = &found.overview.conversation;
        let body = body(&caller, &found.overview)?;
        serde_json::to_value(body.with_found(conversation, found.messages.iter())).ok()
    };
    let bodies: Vec<Value> = found.iter().filter_map(body).collect();
    Ok(Json(Success::of(bodies)).into_response())
}
