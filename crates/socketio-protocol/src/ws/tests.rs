//! The decoder, rule by rule of RFC 6455, and against itself on pieces.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::proptest::{Messages, client_frames, decode_in_pieces};

const MAX: usize = 100_000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn decode(bytes: &[u8]) -> (Messages, Result<(), WsError>) {
    decode_in_pieces(&mut Decoder::new(MAX), bytes, &[])
}

fn refusal(bytes: &[u8]) -> (WsError, u16) {
    let error = decode(bytes).1.unwrap_err();
    (error, error.close_code().get())
}

fn text(payload: &[u8]) -> Vec<u8> {
    client::frame(OpCode::Text, payload, MASK)
}

#[test]
fn the_accept_key_is_that_of_the_rfc() {
    let accept = accept_key("dGhlIHNhbXBsZSBub25jZQ==");

    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_server_frame_is_not_masked() {
    let frame = frame(OpCode::Text, b"Hello");

    assert_eq!(&frame[..], b"\x81\x05Hello");
}

#[test]
fn a_close_frame_carries_its_code() {
    let frame = close_frame(CloseCode::TOO_BIG);

    assert_eq!(&frame[..], [0x88, 2, 0x03, 0xf1]);
}

#[test]
fn the_masked_hello_of_the_rfc_is_read() {
    let bytes = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];

    let (messages, end) = decode(&bytes);

    assert_eq!(end, Ok(()));
    assert_eq!(messages, [(OpCode::Text, b"Hello".to_vec())]);
}

#[test]
fn a_ping_between_fragments_is_handed_on_first() {
    let bytes = [
        client::fragment(OpCode::Text, false, b"Hel", MASK),
        client::frame(OpCode::Ping, b"?", MASK),
        client::fragment(OpCode::Continuation, true, b"lo", MASK),
    ]
    .concat();

    let (messages, _) = decode(&bytes);

    let expected = [
        (OpCode::Ping, b"?".to_vec()),
        (OpCode::Text, b"Hello".to_vec()),
    ];
    assert_eq!(messages, expected);
}

#[test]
fn a_character_may_be_cut_by_a_fragment() {
    let bytes = [
        client::fragment(OpCode::Text, false, b"\xC3", MASK),
        client::fragment(OpCode::Continuation, true, b"\xA4", MASK),
    ]
    .concat();

    let (messages, _) = decode(&bytes);

    assert_eq!(messages, [(OpCode::Text, "ä".into())]);
}

#[test]
fn a_client_that_does_not_mask_is_refused() {
    assert_eq!(refusal(b"\x81\x01a"), (WsError::WrongMasking, 1002));
}

#[test]
fn a_server_that_masks_is_refused() {
    let (_, end) = decode_in_pieces(&mut Decoder::for_client(MAX), &text(b"a"), &[]);

    assert_eq!(end, Err(WsError::WrongMasking));
}

#[test]
fn a_client_reads_what_a_server_writes() {
    let bytes = frame(OpCode::Text, b"Hello");

    let (messages, _) = decode_in_pieces(&mut Decoder::for_client(MAX), &bytes, &[1]);

    assert_eq!(messages, [(OpCode::Text, b"Hello".to_vec())]);
}

#[test]
fn reserved_bits_are_refused_from_the_first_byte() {
    assert_eq!(refusal(&[0xC1]), (WsError::ReservedBits, 1002));
    assert_eq!(refusal(&[0xA1]), (WsError::ReservedBits, 1002));
    assert_eq!(refusal(&[0x91]), (WsError::ReservedBits, 1002));
}

#[test]
fn reserved_opcodes_are_refused() {
    assert_eq!(refusal(&[0x83]), (WsError::ReservedOpCode, 1002));
    assert_eq!(refusal(&[0x8B]), (WsError::ReservedOpCode, 1002));
}

#[test]
fn a_control_frame_is_whole_and_short() {
    assert_eq!(refusal(&[0x09]), (WsError::FragmentedControl, 1002));
    assert_eq!(refusal(&[0x89, 0xFE]), (WsError::ControlTooLong, 1002));
    assert_eq!(
        decode(&client::frame(OpCode::Ping, &[0; 125], MASK)).1,
        Ok(())
    );
}

#[test]
fn a_length_is_in_its_shortest_form() {
    let short_in_16 = [0x82, 0xFE, 0, 125, 0, 0, 0, 0];
    let short_in_64 = [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];

    assert_eq!(refusal(&short_in_16), (WsError::NonMinimalLength, 1002));
    assert_eq!(refusal(&short_in_64), (WsError::NonMinimalLength, 1002));
}

#[test]
fn fragments_are_in_order() {
    let orphan = client::frame(OpCode::Continuation, b"a", MASK);
    let interleaved = [
        client::fragment(OpCode::Text, false, b"a", MASK),
        text(b"b"),
    ]
    .concat();

    assert_eq!(refusal(&orphan), (WsError::UnexpectedContinuation, 1002));
    assert_eq!(refusal(&interleaved), (WsError::InterleavedMessage, 1002));
}

#[test]
fn text_is_utf8() {
    assert_eq!(refusal(&text(b"\xFF")), (WsError::InvalidUtf8, 1007));
    assert_eq!(
        refusal(&text(b"\xED\xA0\x80")),
        (WsError::InvalidUtf8, 1007)
    );
}

#[test]
fn a_message_may_be_as_big_as_the_limit_and_no_bigger() {
    assert_eq!(decode(&text(&vec![b'a'; MAX])).1, Ok(()));
    assert_eq!(
        refusal(&text(&vec![b'a'; MAX + 1])),
        (WsError::TooBig, 1009)
    );
}

#[test]
fn an_announced_size_is_refused_before_anything_is_stored() {
    let header = [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let mut decoder = Decoder::new(MAX);

    let (_, end) = decode_in_pieces(&mut decoder, &header, &[]);

    assert_eq!(end, Err(WsError::TooBig));
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn fragments_are_counted_together() {
    let bytes = [
        client::fragment(OpCode::Binary, false, &vec![0; MAX], MASK),
        client::frame(OpCode::Ping, b"does not count", MASK),
        client::fragment(OpCode::Continuation, true, &[0], MASK),
    ]
    .concat();

    assert_eq!(refusal(&bytes), (WsError::TooBig, 1009));
}

#[test]
fn empty_fragments_do_not_go_on_for_ever() {
    let mut bytes = client::fragment(OpCode::Binary, false, &[0], MASK);
    bytes.extend(client::fragment(OpCode::Continuation, false, &[], MASK).repeat(17));

    assert_eq!(refusal(&bytes), (WsError::TooManyFragments, 1009));
}

#[test]
fn a_close_may_have_a_code_and_a_reason() {
    let bare = client::frame(OpCode::Close, b"", MASK);
    let full = client::frame(OpCode::Close, b"\x03\xE8bye", MASK);

    assert_eq!(decode(&bare).0, [(OpCode::Close, vec![])]);
    assert_eq!(decode(&full).0, [(OpCode::Close, b"\x03\xE8".to_vec())]);
}

#[test]
fn a_malformed_close_is_refused() {
    let close = |payload| client::frame(OpCode::Close, payload, MASK);

    assert_eq!(refusal(&close(b"\x03")), (WsError::InvalidClose, 1002));
    assert_eq!(refusal(&close(b"\x03\xED")), (WsError::InvalidClose, 1002));
    assert_eq!(
        refusal(&close(b"\x03\xE8\xFF")),
        (WsError::InvalidUtf8, 1007)
    );
}

#[test]
fn close_codes_are_those_that_may_be_sent() {
    let valid = (0..=u16::MAX).filter(|code| CloseCode::new(*code).is_some());

    let expected = (1000..=1003).chain(1007..=1014).chain(3000..=4999);
    assert!(valid.eq(expected));
}

#[test]
fn nothing_is_read_after_a_close() {
    let mut bytes = client::frame(OpCode::Close, b"", MASK);
    bytes.extend(text(b"late"));
    let mut decoder = Decoder::new(MAX);

    let (messages, end) = decode_in_pieces(&mut decoder, &bytes, &[3]);

    assert_eq!((messages.len(), end), (1, Ok(())));
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn nothing_is_read_after_an_error() {
    let mut decoder = Decoder::new(MAX);

    let (_, end) = decode_in_pieces(&mut decoder, &[0xC1], &[]);
    let (messages, _) = decode_in_pieces(&mut decoder, &text(b"late"), &[]);

    assert_eq!(end, Err(WsError::ReservedBits));
    assert_eq!(messages, []);
}

#[test]
fn a_decoder_fed_a_complete_message_holds_no_heap_memory() {
    let mut decoder = Decoder::new(MAX);
    let bytes = text(&[b'a'; 10_000]);

    let (whole, _) = decode_in_pieces(&mut decoder, &bytes, &[]);
    assert_eq!((whole.len(), decoder.heap_bytes()), (1, 0));
    let (start, _) = decode_in_pieces(&mut decoder, &bytes[..5_000], &[]);
    assert_eq!((start.len(), decoder.heap_bytes() >= 5_000), (0, true));
    let (end, _) = decode_in_pieces(&mut decoder, &bytes[5_000..], &[]);
    assert_eq!((end.len(), decoder.heap_bytes()), (1, 0));
}

#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 64);
}

proptest! {
    #[test]
    fn what_a_client_means_is_what_is_read(
        (bytes, expected) in client_frames(),
        pieces in vec(1_usize..2_000, 0..8),
    ) {
        let mut decoder = Decoder::new(MAX);

        let (messages, end) = decode_in_pieces(&mut decoder, &bytes, &pieces);

        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(messages, expected);
        prop_assert_eq!(decoder.heap_bytes(), 0);
    }

    #[test]
    fn pieces_make_no_difference(
        (mut bytes, _) in client_frames(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        pieces in vec(1_usize..40, 1..8),
    ) {
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }

        let whole = decode(&bytes);
        let in_pieces = decode_in_pieces(&mut Decoder::new(MAX), &bytes, &pieces);

        prop_assert_eq!(in_pieces, whole);
    }

    #[test]
    fn noise_is_bounded(bytes in vec(any::<u8>(), 0..200), pieces in vec(1_usize..9, 0..4)) {
        let mut decoder = Decoder::new(50);

        let (messages, _) = decode_in_pieces(&mut decoder, &bytes, &pieces);

        prop_assert!(messages.iter().all(|(_, payload)| payload.len() <= 125));
        prop_assert!(decoder.heap_bytes() <= 2 * (50 + 125 + 14));
    }

    #[test]
    fn a_header_says_how_long_the_payload_is(len in prop_oneof![0..200_usize, 65_500..65_600_usize]) {
        let bytes = frame(OpCode::Binary, &vec![7; len]);

        let (messages, _) = decode_in_pieces(&mut Decoder::for_client(MAX), &bytes, &[]);

        prop_assert_eq!(messages, [(OpCode::Binary, vec![7; len])]);
    }
}
