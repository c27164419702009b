//! Routes on messages.

use axum::{
    Extension, Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use chat_domain::{Conversation, Message, MessageId, PageRequest};
use dialects::booking::{MarkedBody, MessageBody};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use service_kit::TraceParent;

use super::Authenticated;
use crate::{
    app::Target,
    http::{
        Api,
        error::RestError,
        fields::{JsonBody, Query},
        outgoing::{names_file, no_result, origin, read_message},
        page::{Order, Page},
    },
};

/// Most messages marked at once.
pub(super) const MAX_MARKED: usize = 500;

/// `GET /api/messages/booking/{id}`: the newest messages about a booking, oldest first.
pub(super) async fn page(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<Response, RestError> {
    let booking = caller.app.dialect.booking_id(&id)?;
    let page = Page::read(query, PageRequest::MAX_LIMIT, Order::OldestFirst)?;

    let mut found = api
        .app
        .page_of_booking(&caller, &booking, page.request)
        .await?;
    if let Some((_, messages)) = &mut found {
        page.arrange(messages);
    }
    let body = |(conversation, messages): &(Conversation, Vec<Message>)| {
        let bodies = messages
            .iter()
            .map(|message| MessageBody::new(message, conversation));
        Json(bodies.collect::<Vec<_>>()).into_response()
    };
    let nothing = || Json([(); 0]).into_response();
    Ok(found.as_ref().map_or_else(nothing, body))
}

/// `POST /api/messages` `{bookingId, content, senderType?}`
pub(super) async fn send(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, RestError> {
    let booking = body
        .text("bookingId")
        .and_then(|text| caller.app.dialect.booking_id(text).ok());
    let is_said = body.text("content").is_some() || names_file(&body);
    let Some(booking) = booking.filter(|_| is_said) else {
        return Err(RestError::invalid(vec![
            "bookingId and content are required".to_owned(),
        ]));
    };
    let conversation = api.app.open_booking(&caller, &booking).await?;
    let role = conversation.participant(&caller.user.id);
    let role = role.map(|side| side.role.as_str());
    if body.has("senderType") && body.get("senderType").and_then(Value::as_str) != role {
        return Err(RestError::forbidden(
            "senderType does not match the authenticated user",
        ));
    }
    let message = read_message(&mut body, "content", &headers, &caller);
    body.check()?;
    let message = message.ok_or_else(|| body.rejected())?;

    let target = Target::Booking(booking);
    let mut appended = api
        .app
        .append(&caller, target, vec![message], origin(trace))
        .await?;
    let stored = appended.results.pop().ok_or_else(no_result)??;
    let body = MessageBody::new(&stored.message, &appended.conversation);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `POST /api/messages/mark-read` `{messageIds}`: marks messages of others, wherever they are.
pub(super) async fn mark_read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Extension(trace): Extension<TraceParent>,
    JsonBody(body): JsonBody,
) -> Result<Response, RestError> {
    let ids = body.get("messageIds").and_then(Value::as_array);
    let Some(ids) = ids.filter(|ids| (1..=MAX_MARKED).contains(&ids.len())) else {
        return Err(RestError::invalid(vec![
            "messageIds array is required".to_owned(),
        ]));
    };
    // What is no id of ours is the id of no message: ignored, like every unknown one.
    let ids = ids
        .iter()
        .filter_map(|id| MessageId::parse(id.as_str()?).ok());
    let ids: Vec<MessageId> = ids.collect();

    let origin = origin(trace);
    let marked = api
        .app
        .read_anywhere((&caller).into(), &ids, origin)
        .await?;
    let marked: Vec<MessageId> = marked
        .into_iter()
        .flat_map(|one| one.received.ids)
        .collect();
    Ok(Json(MarkedBody::new(&marked)).into_response())
}
