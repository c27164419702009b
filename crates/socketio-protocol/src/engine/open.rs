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
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "strings and numbers always serialise"
    )]
    pub fn to_json(&self) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_has_exactly_the_five_keys() {
        let open = OpenPacket {
            sid: "a.b".to_owned(),
            upgrades: vec![Transport::Websocket],
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_millis(200),
            max_payload: 1_000_000,
        };

        let json = open.to_json();

        let expected = concat!(
            r#"{"sid":"a.b","upgrades":["websocket"],"#,
            r#""pingInterval":25000,"pingTimeout":200,"maxPayload":1000000}"#,
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<OpenPacket>(&json).unwrap(), open);
    }
}
