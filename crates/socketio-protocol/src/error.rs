//! What a peer can do wrong, and what becomes of its connection. Requests that are refused before
//! there is a connection are [`QueryError`](crate::engine::QueryError)s.

use crate::{binary::BinaryError, engine, packet::PacketError, ws};

/// Bytes that break a protocol. The connection is closed, for [`ProtocolError::close_reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A WebSocket frame.
    #[error("invalid WebSocket frame")]
    Ws(#[from] ws::WsError),
    /// An Engine.IO packet.
    #[error("invalid Engine.IO packet")]
    Engine(#[from] engine::PacketError),
    /// A Socket.IO packet.
    #[error("invalid Socket.IO packet")]
    Packet(#[from] PacketError),
    /// The attachments of a Socket.IO packet.
    #[error("invalid binary Socket.IO packet")]
    Binary(#[from] BinaryError),
}

impl ProtocolError {
    /// Returns the reason that the application is told.
    #[must_use]
    pub const fn close_reason(self) -> CloseReason {
        match self {
            Self::Ws(_) => CloseReason::TransportError,
            Self::Engine(_) => CloseReason::ParseError,
            Self::Packet(_) => CloseReason::ParseError,
            Self::Binary(_) => CloseReason::ParseError,
        }
    }

    /// Returns the code with which a WebSocket is closed.
    #[must_use]
    pub const fn close_code(self) -> ws::CloseCode {
        match self {
            Self::Ws(error) => error.close_code(),
            Self::Engine(_) => ws::CloseCode::PROTOCOL_ERROR,
            Self::Packet(_) => ws::CloseCode::PROTOCOL_ERROR,
            Self::Binary(BinaryError::TooBig) => ws::CloseCode::TOO_BIG,
            Self::Binary(_) => ws::CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// Why a connection ended, in the vocabulary of the reference server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed the transport, or the session with a close packet.
    TransportClose,
    /// The transport failed, or was used against its protocol.
    TransportError,
    /// No pong came in time.
    PingTimeout,
    /// A packet could not be understood.
    ParseError,
    /// The client left its namespace.
    ClientNamespaceDisconnect,
    /// The server removed the client from its namespace.
    ServerNamespaceDisconnect,
    /// The server closed the connection.
    ForcedServerClose,
    /// The server is going down.
    ServerShuttingDown,
}

impl CloseReason {
    /// Returns the reason as logs and metrics spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ForcedServerClose => "forced server close",
            Self::ServerShuttingDown => "server shutting down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_frame_is_a_transport_error_and_a_bad_packet_a_parse_error() {
        let frame = ProtocolError::from(ws::WsError::InvalidUtf8);
        let packet = ProtocolError::from(PacketError::UnknownType);

        assert_eq!(frame.close_reason(), CloseReason::TransportError);
        assert_eq!(frame.close_code(), ws::CloseCode::INVALID_PAYLOAD);
        assert_eq!(packet.close_reason(), CloseReason::ParseError);
        assert_eq!(packet.close_code(), ws::CloseCode::PROTOCOL_ERROR);
    }
}
