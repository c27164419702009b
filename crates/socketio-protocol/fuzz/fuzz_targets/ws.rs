//! The WebSocket decoder: pieces make no difference, and memory is bounded.
//!
//! The first byte says how long the pieces are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socketio_protocol::ws::{Decoder, WsError};

const MAX_MESSAGE: usize = 1_000;
/// What can be stored of one frame beside the message: a header and a control payload.
const MAX_FRAME_EXTRA: usize = 14 + 125;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else {
        return;
    };

    let whole = decode(bytes, usize::MAX);
    let in_pieces = decode(bytes, usize::from(piece % 32) + 1);

    assert_eq!(whole, in_pieces);
});

fn decode(bytes: &[u8], piece: usize) -> (Vec<String>, Result<(), WsError>) {
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let mut messages = Vec::new();
    let mut bytes = bytes.to_vec();
    for piece in bytes.chunks_mut(piece) {
        let end = decoder.decode(piece, |message| messages.push(format!("{message:?}")));
        if end.is_err() {
            return (messages, end);
        }
        assert!(decoder.heap_bytes() <= 2 * (MAX_MESSAGE + MAX_FRAME_EXTRA) + 8);
    }
    (messages, Ok(()))
}
