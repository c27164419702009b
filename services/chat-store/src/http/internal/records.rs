//! What officers ask for through other services: who saw what, copies, holds, erasure.
//!
//! Each request says in `Chat-Actor` which person asks; that is what the log of accesses has.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use chat_domain::{ConversationId, Seq};
use dialects::describe::{Kind, Property, needed, optional};
use http::StatusCode;
use service_kit::apps::App as AppConfig;

use super::{
    A_TEXT, ACTOR, AN_ID, Actor, GROUP, MAX_TEXT, find_app, in_path,
    records_body::{AccessesBody, CertificateBody, ExportBody, HeadBody, HoldsBody},
    text, user_id,
};
use crate::{
    app::Custodian,
    http::{
        error::RestError,
        fields::{JsonBody, Query},
        page::{MAX_SEQ, integer, read_limit_to},
        routes::{Routes, delete, get, post, put},
    },
    ports_records::Held,
};

const LIMIT: [Property; 1] = [optional(
    "limit",
    Kind::Integer(1, Custodian::MAX_PART as u64),
)];
const BEFORE: [Property; 1] = [optional("before", Kind::Integer(0, MAX_SEQ))];
const AFTER: [Property; 1] = [optional("afterSeq", Kind::Integer(0, MAX_SEQ))];
const REASON: [Property; 1] = [needed("reason", Kind::Text)];

pub(super) fn routes() -> Routes<Custodian> {
    holds_and_erasure(Routes::of(GROUP))
        .add(
            get(
                "/users/{id}/accesses",
                "Who had to do with a user's conversations, newest first.",
            )
            .headers(&[&ACTOR])
            .query(&[&BEFORE, &LIMIT])
            .answers::<AccessesBody<'static>>(StatusCode::OK),
            accesses,
        )
        .add(
            get(
                "/conversations/{id}/export",
                "Messages whatever their age, oldest first.",
            )
            .headers(&[&ACTOR])
            .query(&[&AFTER, &LIMIT])
            .answers::<ExportBody<'static>>(StatusCode::OK),
            export,
        )
        .add(
            get("/audit/head", "Where the log of accesses ends.")
                .answers::<HeadBody>(StatusCode::OK),
            head,
        )
}

fn holds_and_erasure(routes: Routes<Custodian>) -> Routes<Custodian> {
    routes
        .add(
            get(
                "/holds",
                "What is kept from expiry and erasure, oldest first, at most 1 000.",
            )
            .answers::<HoldsBody<'static>>(StatusCode::OK),
            holds,
        )
        .add(
            put(
                "/holds/{kind}/{id}",
                "Keep a user or a conversation (`users`, `conversations`) from expiry and erasure.",
            )
            .headers(&[&ACTOR])
            .takes(&[&REASON], &[])
            .done(),
            hold,
        )
        .add(
            delete("/holds/{kind}/{id}", "Keep it no longer.")
                .headers(&[&ACTOR])
                .done(),
            release,
        )
        .add(
            post(
                "/users/{id}/erasure",
                "Erase a user. 202: there is more to do, ask again. 409: a hold is in the way.",
            )
            .headers(&[&ACTOR])
            .answers::<CertificateBody<'static>>(StatusCode::OK)
            .answers::<CertificateBody<'static>>(StatusCode::ACCEPTED)
            .fails(&[StatusCode::CONFLICT]),
            erase,
        )
}

/// `GET …/users/{id}/accesses?before=PLACE&limit=N`
async fn accesses(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let user = in_path(&mut query, "id", user_id(&app, &id));
    let before = query.optional("before", A_PLACE, integer);
    let limit = read_limit_to(&mut query, Custodian::MAX_PART).unwrap_or(Custodian::MAX_PART);
    query.check()?;
    let Some(user) = user else {
        return Err(query.rejected());
    };
    let part = (before.unwrap_or(u64::MAX), limit);
    let found = custodian.accesses(&app.id, &actor, &user, part).await?;
    let is_last = found.len() < limit as usize;
    let next = found.last().filter(|_| !is_last).map(|last| last.place);
    Ok(Json(AccessesBody::new(&found, next)).into_response())
}

/// `GET …/conversations/{id}/export?afterSeq=N&limit=N`
async fn export(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
    Query(mut query): Query,
) -> Result<Response, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let id = in_path(&mut query, "id", ConversationId::parse(&id).ok());
    let after = query.optional("afterSeq", A_PLACE, integer);
    let limit = read_limit_to(&mut query, Custodian::MAX_PART).unwrap_or(Custodian::MAX_PART);
    query.check()?;
    let Some(id) = id else {
        return Err(query.rejected());
    };
    let part = (Seq(after.unwrap_or(0)), limit);
    let (conversation, messages, more) = custodian.export(&app.id, &actor, id, part).await?;
    Ok(Json(ExportBody::new(&conversation, &messages, more)).into_response())
}

/// `PUT …/holds/{users|conversations}/{id}` `{reason}`
async fn hold(
    State(custodian): State<Custodian>,
    Path((app, kind, id)): Path<(String, String, String)>,
    Actor(actor): Actor,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let held = in_path(&mut body, "id", held(&app, &kind, &id)?);
    let reason = body.required("reason", A_TEXT, |reason| {
        text(reason).filter(|reason| !reason.is_empty() && reason.len() <= MAX_TEXT)
    });
    body.check()?;
    let (Some(held), Some(reason)) = (held, reason) else {
        return Err(body.rejected());
    };
    custodian.hold(&app.id, &actor, held, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/holds/{users|conversations}/{id}`
async fn release(
    State(custodian): State<Custodian>,
    Path((app, kind, id)): Path<(String, String, String)>,
    Actor(actor): Actor,
) -> Result<StatusCode, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let held = held(&app, &kind, &id)?;
    let held = held.ok_or_else(|| RestError::invalid(vec![format!("id {AN_ID}")]))?;
    custodian.release(&app.id, &actor, held).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn held(app: &AppConfig, kind: &str, id: &str) -> Result<Option<Held>, RestError> {
    match kind {
        "users" => Ok(user_id(app, id).map(Held::User)),
        "conversations" => Ok(ConversationId::parse(id).ok().map(Held::Conversation)),
        _ => Err(RestError::new(StatusCode::NOT_FOUND, "Route not found")),
    }
}

/// `GET …/holds`
async fn holds(
    State(custodian): State<Custodian>,
    Path(app): Path<String>,
) -> Result<Response, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let holds = custodian.holds(&app.id).await?;
    Ok(Json(HoldsBody::new(&holds)).into_response())
}

/// `POST …/users/{id}/erasure`: 200 with the certificate, or 202 while there is more to do.
async fn erase(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
) -> Result<Response, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let user = user_id(&app, &id);
    let user = user.ok_or_else(|| RestError::invalid(vec![format!("id {AN_ID}")]))?;
    let certificate = custodian.erase(&app.id, &actor, &user).await?;
    let status = match certificate.erasure.finished {
        Some(_) => StatusCode::OK,
        None => StatusCode::ACCEPTED,
    };
    Ok((status, Json(CertificateBody::new(&certificate))).into_response())
}

/// `GET …/audit/head`
async fn head(
    State(custodian): State<Custodian>,
    Path(app): Path<String>,
) -> Result<Json<HeadBody>, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let head = custodian.head(&app.id).await?;
    Ok(Json(HeadBody::new(head)))
}

const A_PLACE: &str = "must be an integer from 0";
