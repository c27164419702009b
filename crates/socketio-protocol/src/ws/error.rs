//! Why a WebSocket is closed. Says nothing of the layers above it.

/// A status code that may travel in a close frame (RFC 6455, section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server goes down or the page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The peer sent text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer broke a rule of the application.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is larger than the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The server met a condition it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server restarts; the client may come back.
    pub const SERVICE_RESTART: Self = Self(1012);

    /// Returns the code, unless it is one that no endpoint may send.
    ///
    /// Registered codes are allowed (1000-1003, 1007-1014), and those of libraries and
    /// applications (3000-4999). 1005, 1006 and 1015 only exist in APIs.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A peer that breaks RFC 6455 or exceeds a limit.
///
/// The decoder is of no use after it: send a close frame with [`WsError::close_code`] and drop the
/// connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// A client must mask its frames, a server must not.
    #[error("frame is masked as only the other side may do")]
    WrongMasking,
    /// A reserved bit is set although no extension was negotiated.
    #[error("reserved bit is set")]
    ReservedBits,
    /// The opcode means nothing yet.
    #[error("opcode is reserved")]
    ReservedOpCode,
    /// A control frame came in parts.
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A control frame has more than 125 bytes.
    #[error("control frame is too long")]
    ControlTooLong,
    /// The length would have fitted into fewer bytes.
    #[error("length is not encoded in its shortest form")]
    NonMinimalLength,
    /// A continuation without a message to continue.
    #[error("nothing to continue")]
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before it.
    #[error("message starts within another")]
    InterleavedMessage,
    /// A close frame has one byte, or a code that may not be sent.
    #[error("close frame is malformed")]
    InvalidClose,
    /// Text, or the reason of a close frame, is not UTF-8.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// The message is, or announces to become, larger than the limit.
    #[error("message is too big")]
    TooBig,
    /// A message is made of too many empty fragments.
    #[error("message has too many empty fragments")]
    TooManyFragments,
}

impl WsError {
    /// Returns the code with which the connection is closed.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::WrongMasking => CloseCode::PROTOCOL_ERROR,
            Self::ReservedBits => CloseCode::PROTOCOL_ERROR,
            Self::ReservedOpCode => CloseCode::PROTOCOL_ERROR,
            Self::FragmentedControl => CloseCode::PROTOCOL_ERROR,
            Self::ControlTooLong => CloseCode::PROTOCOL_ERROR,
            Self::NonMinimalLength => CloseCode::PROTOCOL_ERROR,
            Self::UnexpectedContinuation => CloseCode::PROTOCOL_ERROR,
            Self::InterleavedMessage => CloseCode::PROTOCOL_ERROR,
            Self::InvalidClose => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::TooBig => CloseCode::TOO_BIG,
            Self::TooManyFragments => CloseCode::TOO_BIG,
        }
    }
}
