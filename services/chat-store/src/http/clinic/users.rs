//! The route on users.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chat_domain::{Dialect, Role};
use dialects::clinic::UserBody;
use http::StatusCode;

use super::{Authenticated, REQUIRED};
use crate::http::{Api, error::RestError, fields::Query};

/// The shortest text looked for, in characters.
const MIN_CHARS: usize = 2;

/// `GET /api/users/search?q=&user_role=`: at most ten, by e-mail or name.
pub(super) async fn search(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let text = query.required("q", REQUIRED, |text| Some(text.trim().to_owned()));
    let role = query.optional("user_role", "must be admin or doctor", |text| {
        let role = Role::parse(text).ok();
        role.filter(|role| role.belongs_to(Dialect::Clinic))
    });
    query.check()?;
    let text = text.unwrap_or_default();
    if text.chars().count() < MIN_CHARS {
        return Err(RestError::new(StatusCode::BAD_REQUEST, "Query too short"));
    }

    let found = api.app.search_users(&caller, &text, role).await?;
    let bodies = found.iter().map(UserBody::from);
    Ok(Json(bodies.collect::<Vec<_>>()).into_response())
}
