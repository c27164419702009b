//! What officers ask for through other services: who saw what, copies, holds, erasure.
//!
//! Behind the same token as the rest of the internal HTTP. Each request says in `Chat-Actor` which person
//! asks; that is what the log of accesses has.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    routing::{get, post, put},
};
use chat_domain::{Conversation, ConversationId, Message, Seq, Timestamp};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use service_kit::apps::App as AppConfig;

use super::{
    error::RestError,
    fields::{JsonBody, Query},
    internal::{A_TEXT, AN_ID, actor, find_app, in_path, text, user_id},
    page::{integer, read_limit_to},
};
use crate::{
    app::{Certificate, Custodian},
    ports_audit::{Head, Recorded},
    ports_records::{Held, Hold},
};

/// Longest name of who asks, and reason of a hold, in bytes.
pub(super) const MAX_TEXT: usize = 500;

/// Returns the routes, to be nested below an app.
pub(super) fn routes(custodian: Custodian) -> Router {
    Router::new()
        .route("/users/{id}/accesses", get(accesses))
        .route("/users/{id}/erasure", post(erase))
        .route("/conversations/{id}/export", get(export))
        .route("/holds", get(holds))
        .route("/holds/{kind}/{id}", put(hold).delete(release))
        .route("/audit/head", get(head))
        .with_state(custodian)
}

/// The person for whom a service asks.
pub(super) struct Actor(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, RestError> {
        let missing = || RestError::invalid(vec!["Chat-Actor must say who asks".to_owned()]);
        let name = actor(parts)?.ok_or_else(missing)?;
        Ok(Self(name.to_owned()))
    }
}

/// `GET …/users/{id}/accesses?before=PLACE&limit=N`
async fn accesses(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
    Query(mut query): Query,
) -> Result<Json<Value>, RestError> {
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
    let accesses: Vec<_> = found.iter().map(access).collect();
    Ok(Json(json!({ "accesses": accesses, "before": next })))
}

fn access(row: &Recorded) -> Value {
    json!({
        "place": row.place,
        "at": Timestamp(row.at_us.div_euclid(1_000)).to_string(),
        "actor": row.actor,
        "action": row.action,
        "outcome": row.outcome,
        "device": row.device,
        "conversationId": row.conversation.map(|id| id.to_string()),
        "firstSeq": row.first_seq,
        "lastSeq": row.last_seq,
        "detail": row.detail,
    })
}

/// `GET …/conversations/{id}/export?afterSeq=N&limit=N`
async fn export(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
    Query(mut query): Query,
) -> Result<Json<Value>, RestError> {
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
    Ok(Json(exported(&conversation, &messages, more)))
}

fn exported(conversation: &Conversation, messages: &[Message], more: bool) -> Value {
    let participants = conversation
        .participants
        .iter()
        .map(|side| json!({ "userId": side.user.as_str(), "role": side.role.as_str() }));
    let messages = messages.iter().map(|message| {
        let file = message.content.attachment();
        json!({
            "id": message.id.to_string(),
            "seq": message.seq.0,
            "senderId": message.sender.as_str(),
            "senderRole": message.sender_role.as_str(),
            "messageType": message.content.kind().as_str(),
            "content": message.content.text(),
            "fileUrl": file.map(|file| &file.url),
            "fileName": file.and_then(|file| file.name.as_ref()),
            "createdAt": message.created_at.to_string(),
            "deliveredAt": message.delivered_at.map(|at| at.to_string()),
            "readAt": message.read_at.map(|at| at.to_string()),
        })
    });
    json!({
        "conversationId": conversation.id.to_string(),
        "participants": participants.collect::<Vec<_>>(),
        "messages": messages.collect::<Vec<_>>(),
        "more": more,
    })
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
) -> Result<Json<Value>, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let holds = custodian.holds(&app.id).await?;
    let holds: Vec<_> = holds.iter().map(told).collect();
    Ok(Json(json!({ "holds": holds })))
}

fn told(hold: &Hold) -> Value {
    let (kind, id) = match &hold.held {
        Held::User(id) => ("users", id.as_str().to_owned()),
        Held::Conversation(id) => ("conversations", id.to_string()),
    };
    json!({
        "kind": kind,
        "id": id,
        "reason": hold.reason,
        "placedBy": hold.placed_by,
        "placedAt": hold.placed_at.to_string(),
    })
}

/// `POST …/users/{id}/erasure`: 200 with the certificate, or 202 while there is more to do.
async fn erase(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
) -> Result<(StatusCode, Json<Value>), RestError> {
    let app = find_app(custodian.app(), &app)?;
    let user = user_id(&app, &id);
    let user = user.ok_or_else(|| RestError::invalid(vec![format!("id {AN_ID}")]))?;
    let certificate = custodian.erase(&app.id, &actor, &user).await?;
    let status = match certificate.erasure.finished {
        Some(_) => StatusCode::OK,
        None => StatusCode::ACCEPTED,
    };
    Ok((status, Json(certified(&certificate))))
}

fn certified(certificate: &Certificate) -> Value {
    let erasure = &certificate.erasure;
    let head = |link| Head {
        app: certificate.app.clone(),
        link,
    };
    let digest = certificate.user_digest.iter();
    let digest = digest.fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    json!({
        "app": certificate.app.as_str(),
        "userDigest": digest,
        "messages": erasure.messages,
        "conversations": erasure.conversations,
        "files": erasure.files,
        "tokensRevokedAt": erasure.revoked_at.map(|at| at.to_string()),
        "startedAt": erasure.started_at.to_string(),
        "finishedAt": erasure.finished.map(|(at, _)| at.to_string()),
        "head": erasure.finished.map(|(_, link)| head(link).to_string()),
    })
}

/// `GET …/audit/head`
async fn head(
    State(custodian): State<Custodian>,
    Path(app): Path<String>,
) -> Result<Json<Value>, RestError> {
    let app = find_app(custodian.app(), &app)?;
    let head = custodian.head(&app.id).await?;
    Ok(Json(json!({ "head": head.map(|head| head.to_string()) })))
}

const A_PLACE: &str = "must be an integer from 0";
