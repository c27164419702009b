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
