//! Routes on messages.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chat_domain::{
    Attachment, ClientKey, Content, ConversationId, MessageId, MessageKind, Receipt, Role,
};
use dialects::consult::{HistoryBody, MarkedBody, PostedBody};
use http::{HeaderMap, StatusCode};
use service_kit::{TraceParent, apps::HistoryOrder};

use super::{Authenticated, InPath, Meeting};
use crate::{
    app::{Caller, NewMessage, Target},
    http::{
        Api,
        error::RestError,
        fields::{Fields, JsonBody, Query},
        page::{Order, Page},
    },
    ports::{Key, Origin},
};

/// How many messages a page has unless the request says so.
const DEFAULT_LIMIT: u32 = 50;
/// Most messages marked at once.
const MAX_MARKED: usize = 500;

/// `GET /chat/conversations/{id}/messages`: a page of the history.
pub(super) async fn page(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    InPath(conversation): InPath<ConversationId>,
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
    let message = read_message(&mut body, &headers, &caller);
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
    InPath(conversation): InPath<ConversationId>,
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

/// Reads what the message says, checked against the limits of the caller's app, and its key: the
/// header `Idempotency-Key`, else `clientMessageId`.
fn read_message(body: &mut Fields, headers: &HeaderMap, caller: &Caller) -> Option<NewMessage> {
    let text = body.optional("content", "must be a string", |text| Some(text.to_owned()));
    let url = body.optional("fileUrl", "must be a URL", |text| Some(text.to_owned()));
    let name = body.optional("fileName", "must be a string", |text| Some(text.to_owned()));
    let kind = body.optional("messageType", "is not known", |text| {
        MessageKind::parse(text).ok()
    });
    None
}
