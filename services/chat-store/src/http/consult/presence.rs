//! The route on presence.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chat_domain::UserId;
use dialects::consult::PresenceBody;

use super::{Authenticated, user_id};
use crate::{
    app::presence::Roster,
    http::{Api, error::RestError, fields::Query},
};

/// `GET /chat/presence`: who of `userIds` is there, as far as the caller may know.
pub(super) async fn list(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let rule = format!(
        "must be 1 to {} UUIDs separated by commas",
        Roster::MAX_USERS
    );
    let users = query.required("userIds", &rule, user_ids);
    query.check()?;
    let users = users.unwrap_or_default();

    let seen = api.app.roster().find((&caller).into(), &users).await?;
    let bodies = users.iter().zip(seen);
    let bodies: Vec<_> = bodies
        .map(|(user, presence)| PresenceBody::new(user, presence))
        .collect();
    Ok(Json(bodies).into_response())
}

fn user_ids(text: &str) -> Option<Vec<UserId>> {
    let users: Vec<UserId> = text
        .split(',')
        .take(Roster::MAX_USERS + 1)
        .map(user_id)
        .collect::<Option<_>>()?;
    (users.len() <= Roster::MAX_USERS).then_some(users)
}
