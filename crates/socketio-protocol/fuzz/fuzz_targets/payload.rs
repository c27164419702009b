//! Polling payloads: bounded in number, and the same after writing and reading them again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socketio_protocol::{Frame, engine::payload};

const MAX_PACKETS: usize = 16;

fuzz_target!(|body: &[u8]| {
    if let Ok(packets) = payload::decode(body, MAX_PACKETS) {
        assert!(packets.len() <= MAX_PACKETS);

        let frames: Vec<Frame> = packets.iter().map(Frame::from).collect();
        let again = payload::encode(&frames);

        assert_eq!(payload::decode(&again, MAX_PACKETS), Ok(packets));
    }
});
