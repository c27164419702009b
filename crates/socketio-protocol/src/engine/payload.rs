//! The body of a polling request or response: packets with a separator between them.
//!
//! The limit on its bytes is not kept here: whoever reads the body keeps it.

use base64::Engine as _;
use bytes::Bytes;

use super::packet::{BASE64, Packet, PacketError};
use crate::frame::Frame;

/// Between two packets; no packet contains it, as JSON escapes it.
const SEPARATOR: char = '\x1e';

/// Decodes the body of a POST.
///
/// # Errors
///
/// Returns the first error of a packet, [`PacketError::TooManyPackets`] past `max_packets`, and
/// [`PacketError::InvalidUtf8`]. No packet is handed on then: the session is closed, the request
/// answered with status 400.
pub fn decode(body: &[u8], max_packets: usize) -> Result<Vec<Packet<'_>>, PacketError> {
    let body = str::from_utf8(body).map_err(|_| PacketError::InvalidUtf8)?;
    let mut packets = Vec::new();
    for record in body.split(SEPARATOR) {
        if packets.len() == max_packets {
            return Err(PacketError::TooManyPackets);
        }
        packets.push(Packet::parse_record(record)?);
    }
    Ok(packets)
}

/// Encodes the body of a response to a GET. How many packets it takes is the caller's choice.
#[must_use]
pub fn encode<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Bytes {
    let mut body = Vec::new();
    for (i, frame) in frames.into_iter().enumerate() {
        if i > 0 {
            body.push(SEPARATOR as u8);
        }
        if frame.is_binary() {
            body.push(b'b');
            body.extend_from_slice(BASE64.encode(frame.packet()).as_bytes());
        } else {
            body.extend_from_slice(frame.packet());
        }
    }
    body.into()
}
