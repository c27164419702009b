//! The JSON of presence, in REST answers and for sockets.

use chat_domain::{Presence, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{ServerEvent, text::Text};

/// What the caller may see of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PresenceBody<'a> {
    user_id: &'a str,
    is_online: bool,
    status: &'static str,
}

impl<'a> PresenceBody<'a> {
    /// Says that of `user`.
    #[must_use]
    pub fn new(user: &'a UserId, presence: Presence) -> Self {
        Self {
            user_id: user.as_str(),
            is_online: presence.is_online(),
            status: presence.as_str(),
        }
    }
}

/// Somebody came, went or changed its status.
#[derive(Serialize, JsonSchema)]
pub(super) struct PresenceChangedBody<'a> {
    #[serde(flatten)]
    presence: PresenceBody<'a>,
    at: Text<Timestamp>,
}

/// Encodes that somebody came, went or changed its status.
pub(super) fn presence_changed(user: &UserId, presence: Presence, at: Timestamp) -> ServerEvent {
    let presence = PresenceBody::new(user, presence);
    ServerEvent::new(
        "presence.changed",
        &PresenceChangedBody {
            presence,
            at: Text(at),
        },
    )
}
