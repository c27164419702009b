//! One Engine.IO packet. How packets share an HTTP body is in [`payload`](super::payload), how
//! they are framed for a WebSocket in [`frame`](crate::frame).

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Reads what Node reads: with padding or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An Engine.IO packet, borrowed from the message that carried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Begins a session: the JSON of an [`OpenPacket`](super::OpenPacket). Sent by servers only.
    Open(&'a str),
    /// Ends the session.
    Close,
    /// Asks for a pong with the same text: empty for a heartbeat, `probe` on a new transport.
    Ping(&'a str),
    /// Answers a ping.
    Pong(&'a str),
    /// A text message: here, a Socket.IO packet.
    Message(&'a str),
    /// A binary message: here, an attachment of a Socket.IO packet.
    Binary(Cow<'a, [u8]>),
    /// Completes the change to the transport it came on.
    Upgrade,
    /// Nothing; answers a poll that has to end.
    Noop,
}

/// Bytes that are no Engine.IO packet.
///
/// The session is closed with a parse error; on polling the request is answered with status 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Not even a type.
    #[error("packet is empty")]
    Empty,
    /// The type is none of 0 to 6.
    #[error("packet type is unknown")]
    UnknownType,
    /// A packet that is only a type came with data.
    #[error("packet carries data that it cannot have")]
    UnexpectedData,
    /// A `b` record is not base64.
    #[error("binary record is not base64")]
    InvalidBase64,
    /// The body of a request is not UTF-8.
    #[error("payload is not UTF-8")]
    InvalidUtf8,
    /// The body of a request has more packets than allowed.
    #[error("payload has too many packets")]
    TooManyPackets,
}

impl<'a> Packet<'a> {
    /// Parses a WebSocket text message.
    ///
    /// # Errors
    ///
    /// Returns a [`PacketError`] when the type is unknown, or the data is not what it allows.
    pub fn parse_text(text: &'a str) -> Result<Self, PacketError> {
        let mut chars = text.chars();
        let kind = chars.next().ok_or(PacketError::Empty)?;
        let data = chars.as_str();
        let bare = |packet| match data {
            "" => Ok(packet),
            _ => Err(PacketError::UnexpectedData),
        };
        match kind {
            '0' => Ok(Self::Open(data)),
            '1' => bare(Self::Close),
            '2' => Ok(Self::Ping(data)),
            '3' => Ok(Self::Pong(data)),
            '4' => Ok(Self::Message(data)),
            '5' => bare(Self::Upgrade),
            '6' => bare(Self::Noop),
            _ => Err(PacketError::UnknownType),
        }
    }

    /// Takes a WebSocket binary message: it is always a message packet.
    #[must_use]
    pub const fn parse_binary(data: &'a [u8]) -> Self {
        Self::Binary(Cow::Borrowed(data))
    }

    /// Parses one record of a polling payload, in which `b` and base64 stand for a binary message.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse_text`], and [`PacketError::InvalidBase64`].
    pub fn parse_record(record: &'a str) -> Result<Self, PacketError> {
        match record.strip_prefix('b') {
            Some(base64) => BASE64
                .decode(base64)
                .map(|data| Self::Binary(data.into()))
                .map_err(|_| PacketError::InvalidBase64),
            None => Self::parse_text(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn each_packet_is_read_as_it_is_written() {
        let packets = [
            Packet::Open("{}"),
            Packet::Close,
            Packet::Ping("probe"),
            Packet::Pong("probe"),
            Packet::Message("2[\"a\"]"),
            Packet::Upgrade,
            Packet::Noop,
        ];

        for packet in packets {
            let frame = Frame::from(&packet);
            let text = str::from_utf8(frame.packet()).unwrap();

            assert_eq!(Packet::parse_text(text), Ok(packet.clone()));
            assert_eq!(Packet::parse_record(text), Ok(packet));
        }
    }

    #[test]
    fn a_packet_has_a_known_type() {
        assert_eq!(Packet::parse_text(""), Err(PacketError::Empty));
        assert_eq!(Packet::parse_text("abc"), Err(PacketError::UnknownType));
        assert_eq!(Packet::parse_text("7"), Err(PacketError::UnknownType));
        assert_eq!(Packet::parse_text("\u{664}"), Err(PacketError::UnknownType));
    }

    #[test]
    fn a_bare_packet_has_no_data() {
        for text in ["1x", "5x", "6x"] {
            assert_eq!(Packet::parse_text(text), Err(PacketError::UnexpectedData));
        }
    }

    #[test]
    fn base64_is_for_polling_alone() {
        let binary = Packet::Binary(vec![1, 2, 3, 4].into());

        assert_eq!(Packet::parse_record("bAQIDBA=="), Ok(binary.clone()));
        assert_eq!(Packet::parse_record("bAQIDBA"), Ok(binary));
        assert_eq!(Packet::parse_record("b?"), Err(PacketError::InvalidBase64));
        assert_eq!(
            Packet::parse_text("bAQIDBA=="),
            Err(PacketError::UnknownType)
        );
    }
}
