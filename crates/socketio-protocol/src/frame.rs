//! An encoded message, shared by everybody who gets it. Knows nothing of receivers or queues.

use bytes::Bytes;

use crate::{
    engine,
    ws::{self, OpCode},
};

/// One Engine.IO packet, encoded once for every transport.
///
/// It holds the WebSocket frame, and finds the packet within. A clone shares the bytes: a room of
/// ten thousand sockets holds one copy of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Encodes a Socket.IO packet, as the functions of [`packet`](crate::packet) return it.
    #[must_use]
    pub fn text(packet: &str) -> Self {
        Self::typed(b'4', packet)
    }

    /// Encodes an attachment of a Socket.IO packet.
    #[must_use]
    pub fn binary(attachment: &[u8]) -> Self {
        Self(ws::frame(OpCode::Binary, attachment))
    }

    /// Returns the event of this frame with one more argument behind the others: a string.
    ///
    /// `text` needs no escaping in JSON. A frame that is no event stays what it is.
    #[must_use]
    pub fn with_argument(&self, text: &str) -> Self {
        let packet = std::str::from_utf8(self.packet()).ok();
        match packet.and_then(|packet| packet.strip_suffix(']')) {
            Some(head) if !self.is_binary() => {
                let len = head.len() + text.len() + 4;
                let (header, n) = ws::header(OpCode::Text, len);
                let mut bytes = Vec::with_capacity(n + len);
                bytes.extend(header.iter().take(n));
                for part in [head, ",\"", text, "\"]"] {
                    bytes.extend_from_slice(part.as_bytes());
                }
                Self(bytes.into())
            }
            _ => self.clone(),
        }
    }

    /// Returns the WebSocket frame.
    #[must_use]
    pub const fn ws(&self) -> &Bytes {
        &self.0
    }

    /// Returns the Engine.IO packet: its text, or the bytes of a binary message.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        // A server's frames are not masked, so the length alone decides where the payload starts.
        let header_len = match self.0.get(1) {
            Some(0..=125) => 2,
            Some(126) => 4,
            _ => 10,
        };
        self.0.get(header_len..).unwrap_or_default()
    }

    /// Whether this is a binary message, which polling carries as base64.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.0
            .first()
            .is_some_and(|first| first & 0x0F == OpCode::Binary as u8)
    }

    /// Wraps an encoded WebSocket frame that no other transport will carry.
    pub(crate) const fn raw(frame: Bytes) -> Self {
        Self(frame)
    }

    fn typed(kind: u8, data: &str) -> Self {
        let (header, n) = ws::header(OpCode::Text, 1 + data.len());
        let mut bytes = Vec::with_capacity(n + 1 + data.len());
        bytes.extend(header.iter().take(n));
        bytes.push(kind);
        bytes.extend_from_slice(data.as_bytes());
        Self(bytes.into())
    }
}

impl From<&engine::Packet<'_>> for Frame {
    fn from(packet: &engine::Packet<'_>) -> Self {
        match packet {
            engine::Packet::Open(json) => Self::typed(b'0', json),
            engine::Packet::Close => Self::typed(b'1', ""),
            engine::Packet::Ping(text) => Self::typed(b'2', text),
            engine::Packet::Pong(text) => Self::typed(b'3', text),
            engine::Packet::Message(text) => Self::typed(b'4', text),
            engine::Packet::Binary(data) => Self::binary(data),
            engine::Packet::Upgrade => Self::typed(b'5', ""),
            engine::Packet::Noop => Self::typed(b'6', ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    #[test]
    fn a_text_frame_holds_the_packet_behind_its_header() {
        let frame = Frame::text(r#"2["a"]"#);

        assert_eq!(&frame.ws()[..], b"\x81\x0742[\"a\"]");
        assert_eq!(frame.packet(), br#"42["a"]"#);
        assert!(!frame.is_binary());
    }

    #[test]
    fn a_binary_frame_has_no_prefix() {
        let frame = Frame::binary(&[1, 2]);

        assert_eq!(&frame.ws()[..], [0x82, 2, 1, 2]);
        assert_eq!(frame.packet(), [1, 2]);
        assert!(frame.is_binary());
    }

    #[test]
    fn the_packet_is_found_behind_a_header_of_any_length() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let attachment: Vec<u8> = iter::repeat_n(9, len).collect();

            assert_eq!(Frame::binary(&attachment).packet(), attachment);
        }
    }

    #[test]
    fn an_event_takes_one_more_argument() {
        for (event, longer) in [
            (r#"2["a"]"#, r#"2["a","x"]"#),
            (r#"2/chat,["a",{"b":[]}]"#, r#"2/chat,["a",{"b":[]},"x"]"#),
        ] {
            assert_eq!(Frame::text(event).with_argument("x"), Frame::text(longer));
        }
        let attachment = Frame::binary(b"]");
        assert_eq!(attachment.with_argument("x"), attachment);
    }

    #[test]
    fn a_clone_shares_the_bytes() {
        let frame = Frame::text("2[]");

        let clone = frame.clone();

        assert_eq!(clone.ws().as_ptr(), frame.ws().as_ptr());
    }
}
