//! The client's half of the framing, for tests and the load generator. Draws no mask of its own.

use super::header::{self, OpCode};

/// Encodes a whole message as a client sends it: masked with `mask`.
#[must_use]
pub fn frame(opcode: OpCode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    fragment(opcode, true, payload, mask)
}

/// Encodes one fragment of a message; `fin` marks the last.
#[must_use]
pub fn fragment(opcode: OpCode, fin: bool, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let (mut head, n) = header::header(opcode, payload.len());
    if !fin {
        head[0] &= 0x7F;
    }
    head[1] |= 0x80;
    let mut bytes = Vec::with_capacity(n + mask.len() + payload.len());
    bytes.extend(head.iter().take(n));
    bytes.extend(mask);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(payload) = bytes.get_mut(start..) {
        header::mask(payload, mask);
    }
    bytes
}
