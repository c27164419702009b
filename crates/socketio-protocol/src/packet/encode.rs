//! The packets that a server sends. JSON handed in is trusted to be well-formed: it comes from a
//! serialiser, or from a packet that was checked.

use std::fmt::Write as _;

use super::PacketType;

/// Encodes an event. With `ack_id`, the client is asked for an answer.
#[must_use]
pub fn encode_event(namespace: &str, ack_id: Option<u64>, name: &str, args: &[&str]) -> String {
    let mut packet = head(PacketType::Event, 0, namespace, ack_id, args);
    push_args(&mut packet, Some(name), args);
    packet
}

/// Encodes an event that `n_attachments` binary messages follow; `args` hold the placeholders.
#[must_use]
pub fn encode_binary_event(
    namespace: &str,
    ack_id: Option<u64>,
    name: &str,
    args: &[&str],
    n_attachments: usize,
) -> String {
    let mut packet = head(
        PacketType::BinaryEvent,
        n_attachments,
        namespace,
        ack_id,
        args,
    );
    push_args(&mut packet, Some(name), args);
    packet
}

/// Encodes the answer to the event that came with `ack_id`.
#[must_use]
pub fn encode_ack(namespace: &str, ack_id: u64, args: &[&str]) -> String {
    let mut packet = head(PacketType::Ack, 0, namespace, Some(ack_id), args);
    push_args(&mut packet, None, args);
    packet
}

/// Encodes an answer that `n_attachments` binary messages follow.
#[must_use]
pub fn encode_binary_ack(
    namespace: &str,
    ack_id: u64,
    args: &[&str],
    n_attachments: usize,
) -> String {
    let mut packet = head(
        PacketType::BinaryAck,
        n_attachments,
        namespace,
        Some(ack_id),
        args,
    );
    push_args(&mut packet, None, args);
    packet
}

/// Encodes the confirmation of a connect. `pid` is the private id under which a client may recover
/// its session; without one the client does not try.
#[must_use]
pub fn encode_connect(namespace: &str, sid: &str, pid: Option<&str>) -> String {
    let mut packet = head(PacketType::Connect, 0, namespace, None, &[sid]);
    packet.push_str(r#"{"sid":"#);
    push_string(&mut packet, sid);
    if let Some(pid) = pid {
        packet.push_str(r#","pid":"#);
        push_string(&mut packet, pid);
    }
    packet.push('}');
    packet
}

/// Encodes the refusal of a connect. `data` is what the client finds in `error.data`.
#[must_use]
pub fn encode_connect_error(namespace: &str, message: &str, data: Option<&str>) -> String {
    let mut packet = head(PacketType::ConnectError, 0, namespace, None, &[message]);
    packet.push_str(r#"{"message":"#);
    push_string(&mut packet, message);
    if let Some(data) = data {
        packet.push_str(r#","data":"#);
        packet.push_str(data);
    }
    packet.push('}');
    packet
}

/// Encodes the removal from a namespace. The stock client does not come back after it.
#[must_use]
pub fn encode_disconnect(namespace: &str) -> String {
    head(PacketType::Disconnect, 0, namespace, None, &[])
}

/// Writes everything before the payload, with room for `args` behind it.
fn head(
    kind: PacketType,
    n_attachments: usize,
    namespace: &str,
    ack_id: Option<u64>,
    args: &[&str],
) -> String {
    let len = args.iter().map(|arg| arg.len() + 1).sum::<usize>();
    let mut packet = String::with_capacity(len + namespace.len() + 48);
    packet.push(match kind {
        PacketType::Connect => '0',
        PacketType::Disconnect => '1',
        PacketType::Event => '2',
        PacketType::Ack => '3',
        PacketType::ConnectError => '4',
        PacketType::BinaryEvent => '5',
        PacketType::BinaryAck => '6',
    });
    if kind.is_binary() {
        // Writing to a string cannot fail.
        let _ = write!(packet, "{n_attachments}-");
    }
    if namespace != "/" {
        packet.push_str(namespace);
        packet.push(',');
    }
    if let Some(ack_id) = ack_id {
        let _ = write!(packet, "{ack_id}");
    }
    packet
}

fn push_args(packet: &mut String, name: Option<&str>, args: &[&str]) {
    packet.push('[');
    if let Some(name) = name {
        push_string(packet, name);
    }
    for (i, arg) in args.iter().enumerate() {
        if name.is_some() || i > 0 {
            packet.push(',');
        }
        packet.push_str(arg);
    }
    packet.push(']');
}

/// Appends `text` as a JSON string.
fn push_string(packet: &mut String, text: &str) {
    if text
        .bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        packet.push_str(&serde_json::Value::from(text).to_string());
    } else {
        packet.push('"');
        packet.push_str(text);
        packet.push('"');
    }
}
