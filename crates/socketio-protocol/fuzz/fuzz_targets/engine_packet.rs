//! Engine.IO packets: what is read, written and read again is the same packet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socketio_protocol::{Frame, engine::Packet};

fuzz_target!(|text: &str| {
    if let Ok(packet) = Packet::parse_text(text) {
        let frame = Frame::from(&packet);

        assert_eq!(frame.packet(), text.as_bytes());
        assert_eq!(Packet::parse_record(text), Ok(packet));
    }
    let _ = Packet::parse_record(text);
});
