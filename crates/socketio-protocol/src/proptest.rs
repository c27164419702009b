//! Strategies for what travels on the wire. For tests only, ours and those of the crates above.

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::Value;

use crate::ws::{CloseCode, Decoder, Message, OpCode, WsError, client};

/// What a decoder handed on, owned: the kind and the payload of each message.
pub type Messages = Vec<(OpCode, Vec<u8>)>;

/// A namespace, the root included.
pub fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[a-z0-9_-]{1,16}"]
}

/// An event name that is not reserved: none of the reserved ones has a colon.
pub fn event_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,16}:[a-z]{1,8}",
        any::<String>().prop_map(|name| name + ":")
    ]
}

/// A JSON value, a few levels deep.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Names that mean something in a placeholder come up as often as others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("_placeholder".to_owned()),
        Just("num".to_owned()),
        any::<String>()
    ]
}

/// What a well-behaved client sends on a WebSocket, and the messages that it means.
pub fn client_frames() -> impl Strategy<Value = (Vec<u8>, Messages)> {
    vec(client_message(), 0..6).prop_map(|messages| {
        let mut bytes = Vec::new();
        let mut decoded = Vec::new();
        for (frames, messages) in messages {
            bytes.extend(frames);
            decoded.extend(messages);
        }
        (bytes, decoded)
    })
}

/// One message, in fragments with pings between them.
fn client_message() -> impl Strategy<Value = (Vec<u8>, Messages)> {
    let content = prop_oneof![
        8 => any::<String>().prop_map(|text| (OpCode::Text, text.into_bytes())),
        8 => vec(any::<u8>(), 0..300).prop_map(|bytes| (OpCode::Binary, bytes)),
        1 => (65_500..65_600_usize).prop_map(|len| (OpCode::Binary, vec![7; len])),
    ];
    let ping = proptest::option::of(vec(any::<u8>(), 0..=125));
    (content, vec((any::<Index>(), ping), 0..4), any::<[u8; 4]>()).prop_map(
        |((opcode, payload), cuts, mask)| {
            let mut frames = Vec::new();
            let mut messages = Vec::new();
            let mut rest = &payload[..];
            let mut part_opcode = opcode;
            for (cut, ping) in cuts {
                let (part, after) = rest.split_at(cut.index(rest.len() + 1));
                frames.extend(client::fragment(part_opcode, false, part, mask));
                part_opcode = OpCode::Continuation;
                rest = after;
                if let Some(ping) = ping {
                    frames.extend(client::frame(OpCode::Ping, &ping, mask));
                    messages.push((OpCode::Ping, ping));
                }
            }
            frames.extend(client::fragment(part_opcode, true, rest, mask));
            messages.push((opcode, payload));
            (frames, messages)
        },
    )
}

/// Feeds `bytes` to `decoder` in pieces whose lengths go round in `pieces`; all at once when it is
/// empty. Returns everything that was handed on, and how it ended.
pub fn decode_in_pieces(
    decoder: &mut Decoder,
    bytes: &[u8],
    pieces: &[usize],
) -> (Messages, Result<(), WsError>) {
    let mut messages = Messages::new();
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    let mut pieces = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let len = pieces.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (piece, after) = rest.split_at_mut(len);
        if let Err(error) = decoder.decode(piece, |message| messages.push(owned(message))) {
            return (messages, Err(error));
        }
        rest = after;
    }
    (messages, Ok(()))
}

fn owned(message: Message<'_>) -> (OpCode, Vec<u8>) {
    match message {
        Message::Text(text) => (OpCode::Text, text.into()),
        Message::Binary(bytes) => (OpCode::Binary, bytes.into()),
        Message::Ping(bytes) => (OpCode::Ping, bytes.into()),
        Message::Pong(bytes) => (OpCode::Pong, bytes.into()),
        Message::Close(code) => {
            let code = code.map(CloseCode::get).map(u16::to_be_bytes);
            (OpCode::Close, code.map(Vec::from).unwrap_or_default())
        }
    }
}
