//! Engine.IO v4 and Socket.IO v5 over WebSocket and HTTP long-polling, without I/O.
//!
//! Bytes (and, for a connection, the time) go in; packets, frames and effects come out. The crate
//! opens no socket, reads no clock, draws no random number and knows nothing of chat.
//!
//! From the wire upwards:
//!
//! * [`ws`]: WebSocket frames, [RFC 6455], server side;
//! * [`engine`]: [Engine.IO] packets, polling payloads, the open packet and the query string;
//! * [`packet`] and [`binary`]: [Socket.IO] packets and the reassembly of binary ones;
//! * [`plain`]: events without any of that, for clients that have no library;
//! * [`frame`]: an encoded message that all its receivers share;
//! * [`connection`]: one connection from handshake to close, as a state machine.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [Engine.IO]: https://github.com/socketio/engine.io-protocol
//! [Socket.IO]: https://github.com/socketio/socket.io-protocol

pub mod binary;
pub mod connection;
pub mod engine;
pub mod error;
pub mod frame;
pub mod packet;
pub mod plain;
#[cfg(any(test, feature = "test-util"))]
pub mod proptest;
pub mod ws;

pub use crate::{
    binary::{BinaryPacket, Reassembly},
    connection::Connection,
    error::{CloseReason, ProtocolError},
    frame::Frame,
    packet::{Packet, PacketType},
};
