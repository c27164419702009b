//! Routes that list conversations.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use chat_domain::{PageRequest, Role, Subject};
use dialects::booking::ConversationBody;

use super::Authenticated;
use crate::{
    app::Caller,
    http::{Api, error::RestError, fields::Query, page::read_limit},
    ports::Overview,
};

/// `GET /api/messages/my-conversations`: those of the caller's own bookings, that changed last first.
pub(super) async fn own(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let limit = read_limit(&mut query).unwrap_or(PageRequest::MAX_LIMIT);
    query.check()?;

    let mut found = api.app.overviews(&caller, None, limit).await?;
    found.retain(|one| {
        let own = one.conversation.participant(&caller.user.id);
        own.is_some_and(|side| side.role == Role::Client)
    });
    answer(&api, &caller, &found).await
}

/// `GET /api/messages/business/{id}/conversations`: those of bookings of a business of the caller's.
pub(super) async fn of_business(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let limit = read_limit(&mut query).unwrap_or(PageRequest::MAX_LIMIT);
    query.check()?;
    let business = caller.app.dialect.user_id(&id)?;

    let found = api
        .app
        .overviews_of_business(&caller, &business, limit)
        .await?;
    answer(&api, &caller, &found).await
}

async fn answer(api: &Api, caller: &Caller, overviews: &[Overview]) -> Result<Response, RestError> {
    let ids: Vec<_> = overviews
        .iter()
        .filter_map(|one| match &one.conversation.subject {
            Subject::Booking(id) => Some(id),
            Subject::Pair => None,
        })
        .collect();
    let bookings = api.app.bookings(caller, &ids).await?;
    let bodies = overviews.iter().map(|one| {
        let booking = bookings
            .iter()
            .find(|(booking, _)| Subject::Booking(booking.id.clone()) == one.conversation.subject);
        ConversationBody::new(&one.conversation, booking, one.last.as_ref(), one.unread)
    });
    Ok(Json(bodies.collect::<Vec<_>>()).into_response())
}
