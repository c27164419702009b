//! Events of a dialect as packets of its namespace.
//!
//! Names, payloads and texts are the `dialects` crate's; frames are the protocol crate's.

use chat_domain::Dialect;
use dialects::ServerEvent;
use socketio_protocol::{Frame, packet};

use crate::{
    session::ChatSocket,
    transport::{Class, Sent},
};

/// The namespace of the dialects that this release serves.
pub(crate) const NAMESPACE: &str = "/chat";

/// Tells whether this release serves a dialect.
#[must_use]
pub(crate) const fn is_served(dialect: Dialect) -> bool {
    match dialect {
        Dialect::Consult => true,
        Dialect::Care | Dialect::Clinic | Dialect::Booking => false,
    }
}

/// Encodes an event once for all its receivers.
#[must_use]
pub(crate) fn frame(event: &ServerEvent) -> Frame {
    let packet = packet::encode_event(NAMESPACE, None, event.name, &[&event.json]);
    Frame::text(&packet)
}

/// Encodes an event that is none of the dialect's; its name needs no escaping in JSON.
#[must_use]
pub(crate) fn custom(name: &str, json: &str) -> Frame {
    Frame::text(&packet::encode_event(NAMESPACE, None, name, &[json]))
}

/// Queues an event for a client.
pub(crate) fn send(socket: &ChatSocket, event: &Frame, class: Class) -> Sent {
    socket.session().send(socket, event, class)
}

/// Answers a client's event: as an event and, when the client asked, as the acknowledgement.
pub(crate) fn reply(socket: &ChatSocket, ack: Option<u64>, event: &ServerEvent) {
    send(socket, &frame(event), Class::Message);
    acknowledge(socket, ack, event);
}

/// Acknowledges a client's event when the client asked, and else says nothing.
pub(crate) fn acknowledge(socket: &ChatSocket, ack: Option<u64>, event: &ServerEvent) {
    if let Some(ack) = ack {
        socket.ack(ack, &[&event.to_ack()]);
    }
}
