//! Routes on messages.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chat_domain::{
    Attachment, ChatError, ClientKey, Content, Dialect, MessageId, MessageKind, Receipt, Role,
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

/// Reads what the message says, checked against the limits of the caller's app.
fn read_message(body: &mut Fields, headers: &HeaderMap, caller: &Caller) -> Option<NewMessage> {
    let text = body
        .optional("content", A_STRING, owned)
        .unwrap_or_default();
    let url = body.optional("fileUrl", A_STRING, owned);
    let name = body.optional("fileName", A_STRING, owned);
    let kind = body.optional("messageType", A_STRING, owned);
    let attachment = url
        .filter(|url| !url.is_empty())
        .map(|url| body.noted(Attachment::new(&url, name.as_deref())));
    let kind = match kind {
        Some(kind) => body.noted(MessageKind::parse(&kind))?,
        None if attachment.is_some() => MessageKind::File,
        None => MessageKind::Text,
    };
    let max_chars = caller.app.policy.max_content_chars;
    let content = body.noted(Content::new(kind, &text, attachment.flatten(), max_chars));
    let key = read_key(body, headers).map_or_else(Key::fresh, Key::Clients);
    Some(NewMessage {
        key,
        content: content?,
    })
}

/// Reads the header `Idempotency-Key`, else `clientMessageId`.
fn read_key(body: &mut Fields, headers: &HeaderMap) -> Option<ClientKey> {
    let in_body = body.optional("clientMessageId", A_KEY, |text| ClientKey::new(text).ok());
    let Some(header) = headers.get("idempotency-key") else {
        return in_body;
    };
    let key = header
        .to_str()
        .ok()
        .and_then(|text| ClientKey::new(text).ok());
    if key.is_none() {
        body.note("Idempotency-Key", A_KEY);
    }
    key
}

const A_STRING: &str = "must be a string";
const A_KEY: &str = "must be a string of 1 to 64 bytes";

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where other fields have a rule"
)]
fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn sender_role(text: &str) -> Option<Role> {
    Role::parse(text)
        .ok()
        .filter(|role| role.belongs_to(Dialect::Consult))
}

fn origin(trace: TraceParent) -> Origin {
    Origin {
        traceparent: trace.to_string(),
        ..Origin::default()
    }
}

fn no_result() -> ChatError {
    ChatError::Internal("an append of one message had no result".into())
}
