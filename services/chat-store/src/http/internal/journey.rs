//! Why a device did not get a message, for whoever operates the system.
//!
//! Each request says in `Chat-Actor` who asks, and is logged under that name.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use chat_domain::MessageId;
use dialects::describe::{Kind, Property, needed, optional};
use http::StatusCode;

use super::{
    A_TEXT, ACTOR, AN_ID, Actor, GROUP, find_app, in_path, journey_body::JourneyBody, text, user_id,
};
use crate::{
    app::Custodian,
    http::{
        error::RestError,
        fields::Query,
        routes::{Routes, get},
    },
};

const OF_WHOM: [Property; 2] = [needed("user", Kind::Id), optional("device", Kind::Text)];

pub(super) fn routes() -> Routes<Custodian> {
    Routes::of(GROUP).add(
        get(
            "/messages/{id}/journey",
            "What became of a message for a user, at all devices or at that with this `socket.id`.",
        )
        .headers(&[&ACTOR])
        .query(&[&OF_WHOM])
        .answers::<JourneyBody<'static>>(StatusCode::OK),
        journey,
    )
}

/// `GET …/messages/{id}/journey?user=ID&device=SOCKET_ID`
async fn journey(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let id = in_path(&mut query, "id", MessageId::parse(&id).ok());
    let user = query.required("user", AN_ID, |text| user_id(&app, text));
    let device = query.optional("device", A_TEXT, text);
    query.check()?;
    let (Some(id), Some(user)) = (id, user) else {
        return Err(query.rejected());
    };
    let of = (&user, device.as_deref());
    let journey = custodian.journey(&app.id, &actor, id, of).await?;
    Ok(Json(JourneyBody::new(id, &user, &journey)).into_response())
}
