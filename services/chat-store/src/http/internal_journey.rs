//! Why a device did not get a message, for whoever operates the system.
//!
//! Behind the same token as the rest of the internal HTTP, and logged under the name in `Chat-Actor`.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use chat_domain::{MessageId, Timestamp};
use serde_json::{Value, json};

use super::{
    error::RestError,
    fields::Query,
    internal::{A_TEXT, AN_ID, find_app, in_path, text, user_id},
    internal_records::Actor,
};
use crate::{
    app::{
        Custodian,
        journey::{Device, Journey, State as Has},
    },
    ports_journey::{Seen, Sighting, Standing, Way},
};

/// Returns the route, to be nested below an app.
pub(super) fn routes(custodian: Custodian) -> Router {
    Router::new()
        .route("/messages/{id}/journey", get(journey))
        .with_state(custodian)
}

/// `GET …/messages/{id}/journey?user=ID&device=SOCKET_ID`
async fn journey(
    State(custodian): State<Custodian>,
    Path((app, id)): Path<(String, String)>,
    Actor(actor): Actor,
    Query(mut query): Query,
) -> Result<Json<Value>, RestError> {
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
    let stored = &journey.facts.stored;
    let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
    Ok(Json(json!({
        "messageId": id.to_string(),
        "userId": user.as_str(),
        "verdict": {
            "code": journey.verdict.code(),
            "hop": journey.verdict.hop(),
            "text": journey.verdict.text(),
        },
        "message": {
            "conversationId": stored.conversation.to_string(),
            "seq": stored.seq.0,
            "createdAt": stored.created_at.to_string(),
            "deliveredAt": instant(stored.delivered_at),
            "readAt": instant(stored.read_at),
            "isPublished": !stored.is_untold,
            "isParticipant": journey.facts.is_participant,
            "isSender": journey.facts.is_sender,
        },
        "devices": journey.devices.iter().map(device_json).collect::<Vec<_>>(),
        "hops": hops(&journey),
        "journalIsComplete": journey.sightings.is_complete,
    })))
}

fn device_json(device: &Device) -> Value {
    let connections = device.connections.iter().map(|one| {
        let went = one.went.as_ref();
        json!({
            "device": one.device.to_string(),
            "beganAt": one.began.map(|at| at.to_string()),
            "endedAt": went.map(|(at, _)| at.to_string()),
            "endedBecause": went.map(|(_, reason)| reason),
        })
    });
    json!({
        "socketId": device.socket_id,
        "state": state(device.state),
        "connections": connections.collect::<Vec<_>>(),
    })
}

const fn state(state: Has) -> &'static str {
    match state {
        Has::Written(_) => "written",
        Has::Past => "has_it",
        Has::Waiting => "waiting",
        Has::HeldBack => "held_back",
        Has::CatchingUp => "catching_up",
        Has::Unheard => "unheard",
        Has::NotJoined => "not_joined",
        Has::ToldToFetch => "told_to_fetch",
        Has::Revoked => "revoked",
        Has::Closed => "closed",
        Has::GoneBefore => "gone_before",
        Has::CameLater => "came_later",
        Has::Silent => "silent",
    }
}

/// What happened, oldest first, as far as the clocks of several machines tell.
fn hops(journey: &Journey) -> Vec<Value> {
    let stored = &journey.facts.stored;
    let hop = |at: Timestamp, hop: &str, what: &str, device: Option<String>, detail: Value| {
        let at_text = at.to_string();
        let value =
            json!({ "at": at_text, "hop": hop, "what": what, "device": device, "detail": detail });
        (at, value)
    };
    let mut hops = vec![hop(stored.created_at, "store", "stored", None, Value::Null)];
    let receipts = [("delivered", stored.delivered_at), ("read", stored.read_at)];
    for (what, at) in receipts {
        hops.extend(at.map(|at| hop(at, "store", what, None, Value::Null)));
    }
    for shown in &stored.shown {
        let detail = json!(shown.action);
        hops.push(hop(
            shown.at,
            "store",
            "shown",
            shown.device.clone(),
            detail,
        ));
    }
    for sighting in &journey.sightings.all {
        let (place, what, detail) = sighted(&sighting.seen);
        hops.push(hop(sighting.at, place, what, device(sighting), detail));
    }
    hops.sort_by_key(|(at, _)| *at);
    hops.into_iter().map(|(_, value)| value).collect()
}

fn device(sighting: &Sighting) -> Option<String> {
    let is_of_one = sighting.device.socket != 0;
    is_of_one.then(|| sighting.device.to_string())
}

fn sighted(seen: &Seen) -> (&'static str, &'static str, Value) {
    let plain = |hop, what| (hop, what, Value::Null);
    match seen {
        Seen::Written(way) => ("socket", "written", json!(way_name(*way))),
        Seen::Waiting => plain("socket", "waiting"),
        Seen::Lost => plain("socket", "lost"),
        Seen::NoRoom => plain("socket", "no_room"),
        Seen::Closed => plain("socket", "closed"),
        Seen::Behind => plain("session", "behind"),
        Seen::NotHeard => plain("session", "not_joined"),
        Seen::Skipped => plain("session", "told_to_fetch"),
        Seen::Held => plain("gateway", "held"),
        Seen::Nobody => plain("gateway", "nobody"),
        Seen::Came { is_back: false, .. } => plain("socket", "connected"),
        Seen::Came { is_back: true, .. } => plain("socket", "came_back"),
        Seen::Went { reason, .. } => ("socket", "ended", json!(reason)),
        Seen::Stands { standing, .. } => ("session", "stands", standing_json(*standing)),
    }
}

const fn way_name(way: Way) -> &'static str {
    match way {
        Way::Event => "event",
        Way::Repair => "repair",
        Way::Refill => "refill",
    }
}

fn standing_json(standing: Standing) -> Value {
    match standing {
        Standing::At(seq) => json!({ "at": seq.0 }),
        Standing::Behind(seq) => json!({ "behind": seq.0 }),
        Standing::Unknown => json!("unknown"),
        Standing::Outside => json!("not_joined"),
    }
}
