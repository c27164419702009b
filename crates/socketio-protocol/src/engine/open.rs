//! The first packet of a session. Nothing but its five fields: clients check them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Transport;

/// What a server tells the client at the start of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPacket {
    /// Names the session in the requests to come. Whoever knows it can speak for the client.
    pub sid: String,
    /// The transports to which the client may change from the one it came on.
    pub upgrades: Vec<Transport>,
    /// Time between two pings of the server; whole milliseconds on the wire.
    #[serde(with = "millis")]
    pub ping_interval: Duration,
    /// Time the client has for its pong; whole milliseconds on the wire.
    #[serde(with = "millis")]
    pub ping_timeout: Duration,
    /// The most bytes of a request body or a WebSocket message from the client.
    pub max_payload: u64,
}

impl OpenPacket {
    /// Returns the JSON that [`Packet::Open`](super::Packet::Open) carries.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[expect(clippy::expect_used, reason = "strings and numbers always serialise")]
        serde_json::to_string(self).expect("an open packet serialises")
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
