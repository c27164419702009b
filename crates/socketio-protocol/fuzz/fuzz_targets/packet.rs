//! Socket.IO packets with their attachments: what was read can be split, collected and written
//! again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socketio_protocol::{
    Packet, Reassembly,
    binary::Progress,
    packet::{encode_binary_event, encode_event},
};

const MAX_BYTES: usize = 64;

fuzz_target!(|text: &str| {
    let Ok(packet) = Packet::parse(text) else {
        return;
    };
    if let Ok(event) = packet.event() {
        let args: Vec<&str> = event.args.iter().map(|arg| arg.get()).collect();
        let again = if packet.kind.is_binary() {
            encode_binary_event(
                packet.namespace,
                packet.ack_id,
                &event.name,
                &args,
                packet.n_attachments,
            )
        } else {
            encode_event(packet.namespace, packet.ack_id, &event.name, &args)
        };
        let again = Packet::parse(&again).expect("an encoded packet can be parsed");
        let event_again = again.event().expect("a parsed event can be split");

        assert_eq!(again.namespace, packet.namespace);
        assert_eq!(again.ack_id, packet.ack_id);
        assert_eq!(again.n_attachments, packet.n_attachments);
        assert_eq!(event_again.name, event.name);
        assert!(event_again.args.iter().map(|arg| arg.get()).eq(args));
    }

    let mut progress = Reassembly::start(&packet, MAX_BYTES);
    let mut n_pushed = 0;
    while let Ok(Progress::Pending(reassembly)) = progress {
        n_pushed += 1;
        progress = reassembly.push(b"12345");
    }
    if let Ok(Progress::Complete(whole)) = progress {
        assert_eq!(n_pushed, packet.n_attachments);
        assert_eq!(whole.attachments.len(), packet.n_attachments);
    }
});
