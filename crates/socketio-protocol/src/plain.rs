//! The plain protocol, for clients that speak neither Engine.IO nor Socket.IO: each text message of a
//! WebSocket is a JSON object `{event, data, id?}`.
//!
//! What leaves for such a client is what leaves for all, in another wrapping: an event or an
//! acknowledgement is encoded once as a packet of Socket.IO, and taken out of it here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::{
    Frame,
    packet::EventArgs,
    ws::{self, OpCode},
};

/// The namespace that clients are in, which no client of Socket.IO can name.
pub const NAMESPACE: &str = "ws";

/// A message of a client.
#[derive(Debug, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    /// What an answer has to name, if one is wanted.
    pub(crate) id: Option<u64>,
}

impl<'a> Message<'a> {
    /// Reads a message; `None` for what is none.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        // A derived struct would also take an array, as its fields in order.
        let is_object = text.trim_start().starts_with('{');
        is_object.then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// Tells whether it brings a token.
    pub(crate) fn is_auth(&self) -> bool {
        self.event == "auth"
    }

    pub(crate) fn into_event(self) -> EventArgs<'a> {
        EventArgs {
            name: self.event,
            args: SmallVec::from_iter(self.data),
        }
    }
}

/// Encodes a failure of the protocol; neither text needs escaping in JSON.
pub(crate) fn error(message: &str, code: &str, id: Option<u64>) -> Frame {
    let id = id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
    frame(&format!(
        r#"{{"event":"error","data":{{"message":"{message}","code":"{code}"}}{id}}}"#
    ))
}

/// Encodes that a client is not let in; `data` is JSON for its application.
pub(crate) fn refusal(message: &str, data: Option<&str>) -> Frame {
    let message = serde_json::Value::from(message);
    let data = data.unwrap_or("null");
    frame(&format!(
        r#"{{"event":"error","data":{{"message":{message},"code":"unauthorized","data":{data}}}}}"#
    ))
}

/// Encodes a ping of the WebSocket protocol, which every client answers by itself.
pub(crate) fn ping() -> Frame {
    Frame::raw(ws::frame(OpCode::Ping, b""))
}

impl Frame {
    /// Returns the same event or acknowledgement as a message of the plain protocol; `None` for
    /// anything else.
    ///
    /// An acknowledgement's argument is an object, whose fields stand beside the `id`.
    #[must_use]
    pub fn to_plain(&self) -> Option<Self> {
        let packet = std::str::from_utf8(self.packet()).ok()?;
        let (head, json) = packet.split_at(packet.find('[')?);
        let arguments = json.strip_prefix('[')?.strip_suffix(']')?;
        let text = match head.as_bytes() {
            [b'4', b'2', ..] => {
                let (name, rest) = arguments.strip_prefix('"')?.split_once('"')?;
                let data = rest.strip_prefix(',').unwrap_or("null");
                format!(r#"{{"event":"{name}","data":{data}}}"#)
            }
            [b'4', b'3', ..] => {
                let (_, id) = head.rsplit_once(',').unwrap_or(head.split_at(2));
                match arguments.strip_prefix('{') {
                    Some(fields) => format!(r#"{{"id":{id},{fields}"#),
                    None => format!(r#"{{"id":{id}}}"#),
                }
            }
            _ => return None,
        };
        Some(frame(&text))
    }
}

fn frame(text: &str) -> Frame {
    Frame::raw(ws::frame(OpCode::Text, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet;

    fn plain(packet: &str) -> Option<String> {
        let frame = Frame::text(packet).to_plain()?;
        Some(String::from_utf8(frame.packet().to_vec()).unwrap())
    }

    #[test]
    fn events_and_acknowledgements_are_rewrapped() {
        let event = packet::encode_event("/chat", None, "new_message", &[r#"{"a":["b"]}"#]);
        let bare = packet::encode_event("/", None, "call:connected", &[]);
        let ack = packet::encode_ack(NAMESPACE, 7, &[r#"{"event":"x","data":{}}"#]);
        let empty = packet::encode_ack(NAMESPACE, 43, &[]);

        for (packet, text) in [
            (event, r#"{"event":"new_message","data":{"a":["b"]}}"#),
            (bare, r#"{"event":"call:connected","data":null}"#),
            (ack, r#"{"id":7,"event":"x","data":{}}"#),
            (empty, r#"{"id":43}"#),
        ] {
            assert_eq!(plain(&packet).as_deref(), Some(text));
        }
        assert_eq!(plain(r#"0/chat,{"sid":"x"}"#), None);
    }

    #[test]
    fn only_an_object_with_an_event_is_a_message() {
        let parsed = Message::parse(r#" {"event":"a\u0062","data":[1],"id":3,"more":0}"#).unwrap();
        assert_eq!((&*parsed.event, parsed.id), ("ab", Some(3)));
        assert_eq!(parsed.data.unwrap().get(), "[1]");

        for bad in ["", "{}", "[]", "null", r#"["a",1,2]"#, r#"{"event":1}"#] {
            assert!(Message::parse(bad).is_none(), "{bad}");
        }
        assert!(Message::parse(r#"{"event":"a","id":-1}"#).is_none());
    }
}
