//! Socket.IO v5 packets in their text form.
//!
//! ```text
//! <type>[<n attachments>-][<namespace>,][<ack id>][<json>]
//! ```
//!
//! [`Packet::parse`] borrows, and leaves the JSON as text: what is only passed on is never decoded.
//! Attachments travel in messages of their own and are collected in [`binary`](crate::binary).

mod encode;
mod event;
mod json;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub use self::{
    encode::{
        encode_ack, encode_binary_ack, encode_binary_event, encode_connect, encode_connect_error,
        encode_disconnect, encode_event,
    },
    event::EventArgs,
    json::is_too_deep,
};

/// The most attachments of one packet.
pub const MAX_ATTACHMENTS: usize = 10;
/// The deepest nesting of a payload, arguments included in the array around them.
pub const MAX_DEPTH: usize = 32;
/// The largest ack id: beyond it, JavaScript no longer tells two numbers apart.
pub const MAX_ACK_ID: u64 = (1 << 53) - 1;

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// Enters a namespace, with credentials; or confirms that.
    Connect,
    /// Leaves a namespace.
    Disconnect,
    /// An event with arguments.
    Event,
    /// The answer to an event with an ack id.
    Ack,
    /// Refuses a [`PacketType::Connect`].
    ConnectError,
    /// An event with attachments.
    BinaryEvent,
    /// An answer with attachments.
    BinaryAck,
}

/// A Socket.IO packet, borrowed from the text that carried it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// What the packet is for.
    pub kind: PacketType,
    /// Begins with a slash; a query behind it was cut off.
    pub namespace: &'a str,
    /// Asks for an answer, or names what is answered; at most [`MAX_ACK_ID`].
    pub ack_id: Option<u64>,
    /// How many binary messages follow; at most [`MAX_ATTACHMENTS`].
    pub n_attachments: usize,
    /// Well-formed JSON of the shape that `kind` demands, at most [`MAX_DEPTH`] deep but for
    /// events and acknowledgements without attachments.
    pub payload: Option<&'a RawValue>,
}

/// Text that is no Socket.IO packet. The connection is closed with a parse error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The type is none of 0 to 6.
    #[error("packet type is unknown")]
    UnknownType,
    /// A binary packet does not say how many attachments it has.
    #[error("number of attachments is missing")]
    AttachmentsMissing,
    /// More attachments than [`MAX_ATTACHMENTS`].
    #[error("too many attachments")]
    TooManyAttachments,
    /// The ack id is missing, larger than [`MAX_ACK_ID`], or where none can be.
    #[error("ack id is missing, out of range or out of place")]
    InvalidAckId,
    /// The payload is not JSON.
    #[error("payload is not JSON")]
    InvalidJson,
    /// The payload is nested deeper than [`MAX_DEPTH`].
    #[error("payload is nested too deep")]
    TooDeep,
    /// The payload is not of the shape that the type demands.
    #[error("payload does not fit the packet type")]
    UnexpectedPayload,
    /// The event has a name that the library keeps for itself.
    #[error("event name is reserved")]
    ReservedEvent,
}

impl PacketType {
    const fn from_digit(digit: char) -> Option<Self> {
        match digit {
            '0' => Some(Self::Connect),
            '1' => Some(Self::Disconnect),
            '2' => Some(Self::Event),
            '3' => Some(Self::Ack),
            '4' => Some(Self::ConnectError),
            '5' => Some(Self::BinaryEvent),
            '6' => Some(Self::BinaryAck),
            _ => None,
        }
    }

    /// Whether the payload is more than a name and arguments that are handed on.
    const fn is_decoded(self) -> bool {
        !matches!(self, Self::Event | Self::Ack)
    }

    /// Whether attachments follow.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

impl<'a> Packet<'a> {
    /// Parses the text of one packet: that of an Engine.IO message, without its `4`.
    ///
    /// # Errors
    ///
    /// Returns the first rule that `text` breaks. The connection is closed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use socketio_protocol::{Packet, PacketType};
    ///
    /// let packet = Packet::parse(r#"2/chat,7["typing_start",{}]"#)?;
    /// assert_eq!(packet.kind, PacketType::Event);
    /// assert_eq!(packet.namespace, "/chat");
    /// assert_eq!(packet.ack_id, Some(7));
    /// # Ok::<_, socketio_protocol::packet::PacketError>(())
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, PacketError> {
        let mut chars = text.chars();
        let kind = chars
            .next()
            .and_then(PacketType::from_digit)
            .ok_or(PacketError::UnknownType)?;
        let rest = chars.as_str();
        let (n_attachments, rest) = if kind.is_binary() {
            attachments(rest)?
        } else {
            (0, rest)
        };
        let (namespace, rest) = namespace(rest);
        let (ack_id, json) = ack_id(rest)?;
        let payload = match json {
            "" => None,
            // What is taken apart in here is bounded; arguments are their reader's to refuse.
            _ if kind.is_decoded() && is_too_deep(json) => return Err(PacketError::TooDeep),
            _ => Some(json::check(json)?),
        };

        let packet = Self {
            kind,
            namespace,
            ack_id,
            n_attachments,
            payload,
        };
        packet.check()?;
        Ok(packet)
    }

    /// Splits the payload of an event into its name and its arguments.
    ///
    /// # Errors
    ///
    /// Returns [`PacketError::UnexpectedPayload`] when the packet is not an event. Those that
    /// [`Packet::parse`] returned are split without an error.
    pub fn event(&self) -> Result<EventArgs<'a>, PacketError> {
        match (self.kind, self.payload) {
            (PacketType::Event | PacketType::BinaryEvent, Some(payload)) => {
                EventArgs::split(payload)
            }
            _ => Err(PacketError::UnexpectedPayload),
        }
    }

    /// Checks that the parts are those of a packet of this type.
    fn check(&self) -> Result<(), PacketError> {
        let first = self.payload.and_then(|json| json.get().bytes().next());
        let (payload_fits, ack_id_fits) = match self.kind {
            PacketType::Connect => (matches!(first, None | Some(b'{')), self.ack_id.is_none()),
            PacketType::Disconnect => (first.is_none(), self.ack_id.is_none()),
            PacketType::ConnectError => (matches!(first, Some(b'{' | b'"')), self.ack_id.is_none()),
            PacketType::Event | PacketType::BinaryEvent => (first == Some(b'['), true),
            PacketType::Ack | PacketType::BinaryAck => (first == Some(b'['), self.ack_id.is_some()),
        };
        if !payload_fits {
            return Err(PacketError::UnexpectedPayload);
        }
        if !ack_id_fits {
            return Err(PacketError::InvalidAckId);
        }
        match (self.kind, self.payload) {
            (PacketType::Event | PacketType::BinaryEvent, Some(payload)) => {
                event::check_name(payload)
            }
            _ => Ok(()),
        }
    }
}

/// Takes the number of attachments and its dash off the front.
fn attachments(text: &str) -> Result<(usize, &str), PacketError> {
    let (digits, rest) = text
        .split_once('-')
        .ok_or(PacketError::AttachmentsMissing)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PacketError::AttachmentsMissing);
    }
    match digits.parse() {
        Ok(n) if n <= MAX_ATTACHMENTS => Ok((n, rest)),
        _ => Err(PacketError::TooManyAttachments),
    }
}

/// Takes the namespace off the front. Without one, it is the root.
fn namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return ("/", text);
    }
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    match namespace.split_once('?') {
        Some((namespace, _)) => (namespace, rest),
        None => (namespace, rest),
    }
}

/// Takes the ack id off the front, if there is one.
fn ack_id(text: &str) -> Result<(Option<u64>, &str), PacketError> {
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(n_digits);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(id) if id <= MAX_ACK_ID => Ok((Some(id), rest)),
        _ => Err(PacketError::InvalidAckId),
    }
}
