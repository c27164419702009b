//! Binary Socket.IO packets: a text with placeholders, and the attachments that follow it. Putting
//! the bytes into the places is left to the application.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::packet::{Packet, PacketType};

/// A packet whose attachments have all arrived.
#[derive(Debug, Clone)]
pub struct BinaryPacket {
    kind: PacketType,
    namespace: Box<str>,
    ack_id: Option<u64>,
    payload: Option<Box<RawValue>>,
    /// The binary messages, in the order in which the placeholders number them.
    pub attachments: Vec<Bytes>,
}

/// Collects the attachments of one packet.
///
/// While there is one, the connection accepts nothing but binary messages for it.
#[derive(Debug)]
pub struct Reassembly {
    packet: BinaryPacket,
    n_attachments: usize,
    /// Bytes that may still come.
    n_bytes_left: usize,
}

/// What became of a [`Reassembly`] by an attachment.
#[derive(Debug)]
pub enum Progress {
    /// More must come.
    Pending(Reassembly),
    /// That was the last.
    Complete(BinaryPacket),
}

/// Attachments that break the protocol. The connection is closed with a parse error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// The packet announces no attachments by its type.
    #[error("packet is not binary")]
    NotBinary,
    /// A placeholder does not name an attachment of its packet.
    #[error("placeholder names no attachment")]
    InvalidPlaceholder,
    /// The attachments together exceed the limit.
    #[error("attachments are too big")]
    TooBig,
    /// A text message came while attachments were due.
    #[error("text where an attachment was due")]
    UnexpectedText,
    /// A binary message came while no attachment was due.
    #[error("attachment belongs to no packet")]
    UnexpectedAttachment,
}

impl BinaryPacket {
    /// Returns the packet without its attachments. Its payload has placeholders for them.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            kind: self.kind,
            namespace: &self.namespace,
            ack_id: self.ack_id,
            n_attachments: self.attachments.len(),
            payload: self.payload.as_deref(),
        }
    }
}

impl Reassembly {
    /// Begins with the text of a binary packet; `max_bytes` bounds its attachments together.
    ///
    /// A packet may announce that none will follow, and is complete then.
    ///
    /// # Errors
    ///
    /// Returns [`BinaryError::NotBinary`], or [`BinaryError::InvalidPlaceholder`] when an object
    /// with `"_placeholder": true` has no `num` within the announced number.
    pub fn start(packet: &Packet<'_>, max_bytes: usize) -> Result<Progress, BinaryError> {
        if !packet.kind.is_binary() {
            return Err(BinaryError::NotBinary);
        }
        if let Some(payload) = packet.payload {
            Walk {
                n_attachments: packet.n_attachments,
            }
            .deserialize(&mut serde_json::Deserializer::from_str(payload.get()))
            .map_err(|_| BinaryError::InvalidPlaceholder)?;
        }
        let reassembly = Self {
            packet: BinaryPacket {
                kind: packet.kind,
                namespace: packet.namespace.into(),
                ack_id: packet.ack_id,
                payload: packet.payload.map(ToOwned::to_owned),
                attachments: Vec::with_capacity(packet.n_attachments),
            },
            n_attachments: packet.n_attachments,
            n_bytes_left: max_bytes,
        };
        Ok(reassembly.progress())
    }

    /// Adds the next binary message.
    ///
    /// # Errors
    ///
    /// Returns [`BinaryError::TooBig`] when the attachments exceed the limit together.
    pub fn push(mut self, attachment: &[u8]) -> Result<Progress, BinaryError> {
        self.n_bytes_left = self
            .n_bytes_left
            .checked_sub(attachment.len())
            .ok_or(BinaryError::TooBig)?;
        self.packet
            .attachments
            .push(Bytes::copy_from_slice(attachment));
        Ok(self.progress())
    }

    fn progress(self) -> Progress {
        if self.packet.attachments.len() < self.n_attachments {
            Progress::Pending(self)
        } else {
            Progress::Complete(self.packet)
        }
    }
}

/// Walks through JSON and fails at the first placeholder that names no attachment. Builds nothing;
/// the depth of the recursion is that of the payload, which was checked.
#[derive(Clone, Copy)]
struct Walk {
    n_attachments: usize,
}

/// As much of a value as the object around it needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    True,
    Number(u64),
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Key {
    #[serde(rename = "_placeholder")]
    Placeholder,
    #[serde(rename = "num")]
    Num,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Seen, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        Ok(if value { Seen::True } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        Ok(Seen::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seen, A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let (mut placeholder, mut num) = (Seen::Other, Seen::Other);
        while let Some(key) = map.next_key()? {
            let value = map.next_value_seed(self)?;
            match key {
                Key::Placeholder => placeholder = value,
                Key::Num => num = value,
                Key::Other => {}
            }
        }
        let is_in_range = matches!(num, Seen::Number(num)
            if usize::try_from(num).is_ok_and(|num| num < self.n_attachments));
        if placeholder == Seen::True && !is_in_range {
            return Err(de::Error::custom("placeholder names no attachment"));
        }
        Ok(Seen::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{packet::encode_binary_event, proptest::json};

    const MAX_BYTES: usize = 100;

    fn start(text: &str) -> Result<Progress, BinaryError> {
        Reassembly::start(&packet(text), MAX_BYTES)
    }

    fn packet(text: &str) -> Packet<'_> {
        Packet::parse(text).unwrap()
    }

    fn pending(progress: Progress) -> Reassembly {
        match progress {
            Progress::Pending(reassembly) => reassembly,
            Progress::Complete(packet) => panic!("nothing is missing from {packet:?}"),
        }
    }

    fn complete(progress: Progress) -> BinaryPacket {
        match progress {
            Progress::Complete(packet) => packet,
            Progress::Pending(reassembly) => panic!("something is missing from {reassembly:?}"),
        }
    }

    #[test]
    fn a_packet_is_complete_with_its_last_attachment() {
        let text = r#"52-/chat,7["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;

        let first = pending(start(text).unwrap()).push(b"one").unwrap();
        let whole = complete(pending(first).push(b"two").unwrap());

        assert_eq!(whole.attachments, ["one", "two"]);
        assert_eq!(whole.packet().kind, PacketType::BinaryEvent);
        assert_eq!(whole.packet().namespace, "/chat");
        assert_eq!(whole.packet().ack_id, Some(7));
        assert_eq!(whole.packet().event().unwrap().args.len(), 2);
    }

    #[test]
    fn a_packet_without_attachments_is_complete_at_once() {
        assert_eq!(complete(start(r#"50-["a"]"#).unwrap()).attachments.len(), 0);
    }

    #[test]
    fn a_placeholder_names_an_attachment_of_its_packet() {
        for num in [
            "1",
            "-1",
            "\"0\"",
            "\"__proto__\"",
            "0.5",
            "1e9",
            "null",
            "{}",
            "18446744073709551616",
        ] {
            let text = format!(r#"51-["a",[{{"b":{{"num":{num},"_placeholder":true}}}}]]"#);

            assert_eq!(
                start(&text).unwrap_err(),
                BinaryError::InvalidPlaceholder,
                "{num}"
            );
        }
        let without_num = r#"61-3[{"_placeholder":true}]"#;
        assert_eq!(
            start(without_num).unwrap_err(),
            BinaryError::InvalidPlaceholder
        );
    }

    #[test]
    fn an_object_that_only_resembles_a_placeholder_is_left_alone() {
        let text = r#"51-["a",{"_placeholder":false,"num":9},{"_placeholder":1},{"num":"x"}]"#;

        assert!(start(text).is_ok());
    }

    #[test]
    fn attachments_are_bounded_together() {
        let first = pending(start(r#"52-["a"]"#).unwrap())
            .push(&[0; 60])
            .unwrap();

        let second = pending(first).push(&[0; 41]);

        assert_eq!(second.unwrap_err(), BinaryError::TooBig);
    }

    #[test]
    fn a_packet_of_text_has_no_attachments() {
        assert_eq!(start(r#"2["a"]"#).unwrap_err(), BinaryError::NotBinary);
    }

    #[test]
    fn an_echo_is_what_came() {
        let text = r#"51-4["a",{"_placeholder":true,"num":0}]"#;
        let whole = complete(pending(start(text).unwrap()).push(b"x").unwrap());
        let event = whole.packet().event().unwrap();
        let args: Vec<&str> = event.args.iter().map(|arg| arg.get()).collect();

        let echo = encode_binary_event("/", Some(4), "a", &args, whole.attachments.len());

        assert_eq!(echo, text);
    }

    proptest! {
        #[test]
        fn placeholders_are_judged_as_by_reading_the_whole(arg in json(), n in 0..3_usize) {
            let text = format!(r#"5{n}-["a",{arg}]"#);

            let verdict = start(&text).is_ok();

            prop_assert_eq!(verdict, is_sound(&arg, n));
        }
    }

    fn is_sound(json: &Value, n: usize) -> bool {
        let is_placeholder = json.get("_placeholder") == Some(&Value::Bool(true));
        let num = json.get("num").and_then(Value::as_u64);
        (!is_placeholder || num.is_some_and(|num| num < n as u64))
            && match json {
                Value::Array(items) => items.iter().all(|item| is_sound(item, n)),
                Value::Object(pairs) => pairs.values().all(|value| is_sound(value, n)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            }
    }
}
