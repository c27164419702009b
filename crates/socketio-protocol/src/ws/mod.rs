//! WebSocket framing, [RFC 6455], as a server needs it.
//!
//! [`Decoder`] turns what was read from a socket into messages; [`frame`] and [`header`] encode
//! what is sent. The HTTP upgrade is not done here, apart from [`accept_key`], and no extension is
//! spoken, permessage-deflate included.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

pub mod client;
mod decoder;
mod error;
mod header;
#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha1::{Digest as _, Sha1};

pub use self::{
    decoder::{Decoder, Message},
    error::{CloseCode, WsError},
    header::{OpCode, header},
};

/// Returns the `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (section 4.2.2).
#[must_use]
pub fn accept_key(key: &str) -> String {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    STANDARD.encode(digest)
}

/// Encodes a whole unmasked message, as a server sends it.
///
/// The payload of a control frame is the caller's to keep within 125 bytes.
#[must_use]
pub fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let (header, n) = header(opcode, payload.len());
    let mut bytes = Vec::with_capacity(n + payload.len());
    bytes.extend(header.iter().take(n));
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// Encodes a close frame with `code` and no reason text.
#[must_use]
pub fn close_frame(code: CloseCode) -> Bytes {
    frame(OpCode::Close, &code.get().to_be_bytes())
}
