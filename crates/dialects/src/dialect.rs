//! One way in and one way out for all dialects: what is to be done for one of them is an arm here.

use chat_domain::{Dialect, Place, Retention, User, UserId};
use serde_json::value::RawValue;

use crate::{Command, Fact, Rejection, ServerEvent, booking, care, clinic, consult};

/// How the clients of an app talk, and what of the app shows in what they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Their dialect.
    pub dialect: Dialect,
    /// For how long messages are kept; `None` is for ever.
    pub retention: Option<Retention>,
}

/// Returns the Socket.IO namespace that a dialect's clients connect to.
#[must_use]
pub const fn namespace(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Consult => "/chat",
        Dialect::Care | Dialect::Clinic | Dialect::Booking => "/",
    }
}

/// Tells whether the socket that sent a message hears of it like the other sockets of its
/// conversation, beside the confirmation.
#[must_use]
pub const fn echoes(dialect: Dialect) -> bool {
    match dialect {
        Dialect::Consult | Dialect::Care | Dialect::Booking => true,
        Dialect::Clinic => false,
    }
}

/// Returns the path below which a dialect's REST gives the files that were uploaded.
#[must_use]
pub const fn attachments(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Consult => "/api/v1/chat/attachments",
        Dialect::Care => "/chat/attachments",
        Dialect::Clinic => "/api/attachments",
        Dialect::Booking => "/api/messages/attachments",
    }
}

/// Decodes the event `name` with its first argument, sent by `caller`.
///
/// `None` is an event that the dialect does not know: it is ignored.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that is not what it should be, or that says to be from
/// somebody else than `caller`. The client is told and its socket stays usable.
pub fn decode(
    dialect: Dialect,
    name: &str,
    payload: Option<&RawValue>,
    caller: &User,
) -> Result<Option<Command>, Rejection> {
    match dialect {
        Dialect::Consult => consult::decode(name, payload, caller),
        Dialect::Care => care::decode(name, payload, caller),
        Dialect::Clinic => clinic::decode(name, payload, caller),
        Dialect::Booking => booking::decode(name, payload, caller),
    }
}

/// Reads from the event `name` who the client says it is, where it has no token. `None` is an event that
/// says nothing of it; the client has to say it first.
///
/// # Errors
///
/// Returns a [`Rejection`] for a payload that should say it and does not.
pub fn declared(
    dialect: Dialect,
    name: &str,
    payload: Option<&RawValue>,
) -> Result<Option<UserId>, Rejection> {
    match dialect {
        Dialect::Consult => consult::declared(name, payload),
        Dialect::Clinic => clinic::declared(name, payload),
        Dialect::Care | Dialect::Booking => Ok(None),
    }
}

/// Encodes a fact as the events that tell of it, in order. None where a dialect has no words for it.
#[must_use]
pub fn encode(terms: Terms, fact: &Fact<'_>) -> Vec<ServerEvent> {
    match terms.dialect {
        Dialect::Consult => consult::encode(fact),
        Dialect::Care => care::encode(fact),
        Dialect::Clinic => clinic::encode(fact, terms.retention),
        Dialect::Booking => booking::encode(fact),
    }
}

/// Encodes the argument of the acknowledgement of a client's event `name`, which `fact` answers, told
/// as `events`. `None` is an acknowledgement without argument.
#[must_use]
pub fn ack(
    dialect: Dialect,
    name: &str,
    fact: &Fact<'_>,
    events: &[ServerEvent],
) -> Option<String> {
    match dialect {
        Dialect::Consult | Dialect::Care => Some(answer(name, fact, events)),
        Dialect::Clinic => None,
        Dialect::Booking => Some(booking::ack(fact, events)),
    }
}

/// Encodes the answer as one object `{event, data}`: the event that tells of it, else the client's
/// own event.
#[must_use]
pub fn answer(name: &str, fact: &Fact<'_>, events: &[ServerEvent]) -> String {
    if let Some(event) = events.first() {
        return event.to_ack();
    }
    let data = if let Fact::Heard(place) = fact {
        let (key, id) = match place {
            Place::Conversation(id) => ("conversationId", id.to_string()),
            Place::Booking(id) => ("bookingId", id.to_string()),
            Place::Peer(id) => ("userId", id.to_string()),
        };
        serde_json::json!({ key: id })
    } else {
        serde_json::json!({})
    };
    serde_json::json!({ "event": name, "data": data }).to_string()
}
