//! Routes on messages.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chat_domain::{Dialect, MessageId, Receipt, Role};
use dialects::consult::{FoundBody, HistoryBody, MarkedBody, PostedBody};
use http::{HeaderMap, StatusCode};
use service_kit::{TraceParent, apps::HistoryOrder};

use super::{Authenticated, InPath, Meeting};
use crate::{
    app::Target,
    http::{
        Api,
        error::RestError,
        fields::{JsonBody, Query},
        outgoing::{no_result, origin, read_message},
        page::{Order, Page},
    },
};

/// How many messages a page has unless the request says so.
const DEFAULT_LIMIT: u32 = 50;
/// Most messages marked at once.
pub(super) const MAX_MARKED: usize = 500;

/// `GET /chat/conversations/{id}/messages`: a page of the history.
pub(super) async fn page(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    InPath(conversation): InPath,
    Query(query): Query,
) -> Result<Response, RestError> {
    let order = match caller.app.policy.history_order {
        HistoryOrder::NewestFirst => Order::NewestFirst,
        HistoryOrder::OldestFirst => Order::OldestFirst,
    };
    let page = Page::read(query, DEFAULT_LIMIT, order)?;

    let (conversation, mut messages) = api.app.page(&caller, conversation, page.request).await?;
    page.arrange(&mut messages);
    Ok(Json(HistoryBody::new(&conversation, &messages)).into_response())
}

/// `POST /chat/messages`: appends a message to the conversation of a booking.
pub(super) async fn send(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let meeting = Meeting::read(&mut body);
    let sender = body.required("senderType", "must be consultant or patient", sender_role);
    let message = read_message(&mut body, "content", &headers, &caller);
    let (Some(meeting), Some(message)) = (meeting, message) else {
        return Err(body.rejected());
    };
    body.check()?;
    if sender != Some(caller.user.role) {
        return Err(RestError::forbidden("senderType must be your own role"));
    }

    let conversation = meeting.open(&api, &caller).await?;
    let target = Target::Conversation(conversation.id);
    let mut appended = api
        .app
        .append(&caller, target, vec![message], origin(trace))
        .await?;
    let stored = appended.results.pop().ok_or_else(no_result)??;
    let body = PostedBody::new(&stored.message, &appended.conversation);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `POST /chat/conversations/{id}/read`: marks messages of the other side.
pub(super) async fn mark_read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    InPath(conversation): InPath,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let rule = "must be a list of 1 to 500 UUIDs";
    let ids = body.list("messageIds", rule, MAX_MARKED, |text| {
        MessageId::parse(text).ok()
    });
    let Some(ids) = ids else {
        return Err(body.rejected());
    };

    let received = api
        .app
        .receive(&caller, conversation, &ids, Receipt::Read, origin(trace))
        .await?;
    Ok(Json(MarkedBody::new(received.ids.len())).into_response())
}

/// `GET /chat/search?query=`: the newest of the caller's messages that hold all its words.
pub(super) async fn search(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let rule = "must be a text to look for";
    let text = query.required("query", rule, |text| {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    });
    query.check()?;

    let found = api
        .app
        .search_messages(&caller, &text.unwrap_or_default())
        .await?;
    Ok(Json(FoundBody::new(&found)).into_response())
}

fn sender_role(text: &str) -> Option<Role> {
    Role::parse(text)
        .ok()
        .filter(|role| role.belongs_to(Dialect::Consult))
}
