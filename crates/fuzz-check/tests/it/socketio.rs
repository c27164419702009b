//! What clients send before anybody knows who they are: the targets of the fuzzers beside the
//! protocol, and whole connections.

use std::{sync::Arc, time::Instant};

use socketio_protocol::{
    Connection, Frame, Packet, Reassembly,
    binary::Progress,
    connection::{Config, Effect, Layer},
    engine::{self, Query, Transport, payload},
    packet::{encode_binary_event, encode_event},
    ws::Decoder,
};

use crate::{corpus, feed};

const CORPUS: &str = "crates/socketio-protocol/fuzz/corpus";

fn seeds(name: &str) -> Vec<Vec<u8>> {
    corpus(&format!("{CORPUS}/{name}"))
}

fn as_text(target: impl Fn(&str)) -> impl Fn(&[u8]) {
    move |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            target(text);
        }
    }
}

#[test]
fn an_engine_packet_is_written_as_it_was_read() {
    feed(
        &seeds("engine_packet"),
        as_text(|text| {
            let _ = engine::Packet::parse_record(text);
            if let Ok(packet) = engine::Packet::parse_text(text) {
                assert_eq!(Frame::from(&packet).packet(), text.as_bytes());
                assert_eq!(engine::Packet::parse_record(text), Ok(packet));
            }
        }),
    );
}

#[test]
fn a_payload_is_bounded_and_written_as_it_was_read() {
    feed(&seeds("payload"), |body| {
        if let Ok(packets) = payload::decode(body, 16) {
            assert!(packets.len() <= 16);
            let frames: Vec<Frame> = packets.iter().map(Frame::from).collect();
            let again = payload::encode(&frames);
            assert_eq!(payload::decode(&again, 16), Ok(packets));
        }
    });
}

#[test]
fn a_query_never_has_an_empty_sid() {
    feed(
        &seeds("query"),
        as_text(|text| {
            if let Ok(query) = Query::parse(text) {
                assert!(query.sid.is_none_or(|sid| !sid.is_empty()));
            }
        }),
    );
}

#[test]
fn a_packet_is_written_as_it_was_read_and_its_attachments_are_counted() {
    feed(
        &seeds("packet"),
        as_text(|text| {
            let Ok(packet) = Packet::parse(text) else {
                return;
            };
            if let Ok(event) = packet.event() {
                let args: Vec<&str> = event.args.iter().map(|arg| arg.get()).collect();
                let (namespace, ack) = (packet.namespace, packet.ack_id);
                let again = if packet.kind.is_binary() {
                    encode_binary_event(namespace, ack, &event.name, &args, packet.n_attachments)
                } else {
                    encode_event(namespace, ack, &event.name, &args)
                };
                let again = Packet::parse(&again).unwrap();
                assert_eq!((again.namespace, again.ack_id), (namespace, ack));
                assert_eq!(again.event().unwrap().name, event.name);
            }
            let mut progress = Reassembly::start(&packet, 64);
            let mut n_pushed = 0;
            while let Ok(Progress::Pending(reassembly)) = progress {
                n_pushed += 1;
                progress = reassembly.push(b"12345");
            }
            if let Ok(Progress::Complete(_)) = progress {
                assert_eq!(n_pushed, packet.n_attachments);
            }
        }),
    );
}

#[test]
fn frames_in_pieces_are_the_same_frames() {
    fn decode(bytes: &[u8], piece: usize) -> (Vec<String>, bool) {
        let mut decoder = Decoder::new(1_000);
        let mut messages = Vec::new();
        for piece in bytes.to_vec().chunks_mut(piece) {
            let end = decoder.decode(piece, |message| messages.push(format!("{message:?}")));
            if end.is_err() {
                return (messages, true);
            }
            assert!(decoder.heap_bytes() <= 2 * (1_000 + 14 + 125) + 8);
        }
        (messages, false)
    }

    feed(&seeds("ws"), |input| {
        assert_eq!(decode(input, usize::MAX), decode(input, 3));
    });
}

/// Says lines to a connection that is let in wherever it asks.
fn say(layer: Layer, input: &[u8]) {
    let config = Config {
        layer,
        ..Config::default()
    };
    let now = Instant::now();
    let sid = "sid".to_owned();
    let (mut connection, _) = Connection::open(Arc::new(config), Transport::Websocket, sid, now);
    let mut n_closed = 0;
    for line in input.split(|byte| *byte == b'\n') {
        let mut asked = Vec::new();
        let mut sink = |effect: Effect<'_>| match effect {
            Effect::Connect { id, .. } => asked.push(id),
            Effect::Closed(_) => n_closed += 1,
            Effect::Send(_)
            | Effect::Event { .. }
            | Effect::Left(_)
            | Effect::Message(_)
            | Effect::AnswerProbe
            | Effect::DropProbe
            | Effect::Upgraded => {}
        };
        match std::str::from_utf8(line) {
            Ok(text) => connection.text(text, now, &mut sink),
            Err(_) => connection.binary(line, now, &mut sink),
        }
        for id in asked {
            connection.accept(id, "socket", None, &mut |_| {});
        }
    }
    assert!(n_closed <= 1);
    assert_eq!(connection.closed().is_some(), n_closed == 1);
}

#[test]
fn a_connection_ends_once_whatever_is_said() {
    let seeds = corpus("crates/fuzz-check/corpus/connection");
    feed(&seeds, |input| say(Layer::SocketIo, input));
}

#[test]
fn a_plain_connection_ends_once_whatever_is_said() {
    let seeds = corpus("crates/fuzz-check/corpus/plain");
    feed(&seeds, |input| say(Layer::Plain, input));
}
