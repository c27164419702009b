//! What leaves for a client: an event's name and its JSON, encoded once for all receivers.

use chat_domain::{ChatError, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::names::is_taken;

/// An event for clients: its name and the JSON text of its one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEvent {
    /// The event's name; needs no escaping in JSON.
    pub name: &'static str,
    /// The argument, as compact JSON.
    pub json: String,
}

impl ServerEvent {
    pub(crate) fn new(name: &'static str, data: &impl Serialize) -> Self {
        debug_assert!(is_taken(name), "{name} is missing in `names`");
        let json = json(data);
        Self { name, json }
    }

    /// Returns the same event as the JSON object `{event, data}`, which an acknowledgement carries.
    #[must_use]
    pub fn to_ack(&self) -> String {
        format!(r#"{{"event":"{}","data":{}}}"#, self.name, self.json)
    }
}

/// What a client without Socket.IO is told when it is let in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadyBody<'a> {
    /// Who the token says it is.
    pub user_id: &'a str,
    /// The app whose token it is.
    pub app: &'a str,
    /// Which connection this is.
    pub session_id: &'a str,
}

impl ReadyBody<'_> {
    /// Returns its JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }
}

/// Returns the JSON of a body of ours.
pub(crate) fn json(body: &impl Serialize) -> String {
    #[expect(
        clippy::expect_used,
        reason = "our bodies are structs of text, numbers and lists: they always serialise"
    )]
    serde_json::to_string(body).expect("a body serialises")
}

/// Why a client's event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The text for the client; the protocol's own where it has one.
    pub message: String,
    /// Its class, which gives the code.
    pub kind: ErrorKind,
    /// The event that was not taken.
    pub event: &'static str,
}

impl Rejection {
    pub(crate) fn invalid(event: &'static str, message: &str) -> Self {
        Self::new(event, ErrorKind::Invalid, message)
    }

    pub(crate) fn unauthorized(event: &'static str, message: &str) -> Self {
        Self::new(event, ErrorKind::Unauthorized, message)
    }

    pub(crate) fn of(event: &'static str, error: &ChatError) -> Self {
        Self::new(event, error.kind(), &error.to_string())
    }

    fn new(event: &'static str, kind: ErrorKind, message: &str) -> Self {
        Self {
            message: message.to_owned(),
            kind,
            event,
        }
    }
}
