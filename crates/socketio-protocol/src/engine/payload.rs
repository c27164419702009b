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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn packets_come_out_in_the_order_of_the_body() {
        let packets = decode(b"4a\x1ebAQ==\x1e3", 3).unwrap();

        let expected = [
            Packet::Message("a"),
            Packet::Binary(vec![1].into()),
            Packet::Pong(""),
        ];
        assert_eq!(packets, expected);
    }

    #[test]
    fn the_number_of_packets_is_bounded() {
        assert_eq!(decode(b"4\x1e4\x1e4", 2), Err(PacketError::TooManyPackets));
    }

    #[test]
    fn one_bad_packet_spoils_the_body() {
        assert_eq!(decode(b"", 9), Err(PacketError::Empty));
        assert_eq!(decode(b"4a\x1e", 9), Err(PacketError::Empty));
        assert_eq!(decode(b"4a\x1eabc", 9), Err(PacketError::UnknownType));
        assert_eq!(decode(b"4\xFF", 9), Err(PacketError::InvalidUtf8));
    }

    #[test]
    fn nothing_to_send_is_an_empty_body() {
        assert_eq!(encode([]), Bytes::new());
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(packets in vec(packet(), 1..16)) {
            let frames: Vec<Frame> = packets.iter().map(Frame::from).collect();

            let body = encode(&frames);

            prop_assert_eq!(decode(&body, 16), Ok(packets));
        }

        #[test]
        fn decode_never_panics(body in vec(any::<u8>(), 0..64)) {
            let _ = decode(&body, 8);
        }
    }

    fn packet() -> impl Strategy<Value = Packet<'static>> {
        prop_oneof![
            Just(Packet::Close),
            Just(Packet::Ping("")),
            Just(Packet::Message("2[\"a\"]")),
            vec(any::<u8>(), 0..40).prop_map(|data| Packet::Binary(data.into())),
        ]
    }
}
