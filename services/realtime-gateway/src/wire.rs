//! Facts as packets of a dialect's namespace.
//!
//! Names, payloads and texts are the `dialects` crate's; frames are the protocol crate's.

use chat_domain::Dialect;
use dialects::{Fact, Failure, ReadyBody, ServerEvent, Terms};
use socketio_protocol::{Frame, packet, plain};

use crate::{
    session::ChatSocket,
    transport::{Class, Event, Sent},
};

/// Encodes an event once for all its receivers.
#[must_use]
pub(crate) fn frame(dialect: Dialect, event: &ServerEvent) -> Frame {
    let namespace = dialects::namespace(dialect);
    let packet = packet::encode_event(namespace, None, event.name, &[&event.json]);
    Frame::text(&packet)
}

/// Encodes an event that is none of the dialect's; its name needs no escaping in JSON.
#[must_use]
pub(crate) fn custom(dialect: Dialect, name: &str, json: &str) -> Frame {
    let namespace = dialects::namespace(dialect);
    Frame::text(&packet::encode_event(namespace, None, name, &[json]))
}

/// Encodes all events that tell of a fact.
#[must_use]
pub(crate) fn frames(terms: Terms, fact: &Fact<'_>) -> Vec<Frame> {
    let events = dialects::encode(terms, fact);
    let frame = |event| frame(terms.dialect, event);
    events.iter().map(frame).collect()
}

/// Queues an event for a client.
pub(crate) fn send(socket: &ChatSocket, event: &Frame, class: Class) -> Sent {
    socket.session().send(socket, event, class)
}

/// Tells a client of a fact.
pub(crate) fn tell(socket: &ChatSocket, fact: &Fact<'_>) {
    for event in dialects::encode(socket.session().terms(), fact) {
        queue(socket, &event);
    }
}

/// Tells a client of the plain protocol that it is let in, and as whom.
pub(crate) fn welcome(socket: &ChatSocket) {
    if !is_plain(socket) {
        return;
    }
    let session = socket.session();
    let ready = ReadyBody {
        user_id: session.user().id.as_str(),
        app: session.app().id.as_str(),
        session_id: socket.id(),
    };
    let frame = custom(session.dialect(), "ready", &ready.to_json());
    send(socket, &frame, Class::Message);
}

fn is_plain(socket: &ChatSocket) -> bool {
    socket.namespace() == plain::NAMESPACE
}

/// Answers a client's event `name`: as events and, when the client asked, as the acknowledgement.
pub(crate) fn reply(socket: &ChatSocket, name: &str, ack: Option<u64>, fact: &Fact<'_>) {
    let terms = socket.session().terms();
    let events = dialects::encode(terms, fact);
    // One answer is enough where it names what it answers.
    if ack.is_none() || !is_plain(socket) {
        for event in &events {
            queue(socket, event);
        }
    }
    if let Some(ack) = ack {
        confirm(
            socket,
            ack,
            argument(socket, name, fact, &events).as_deref(),
        );
    }
}

/// Acknowledges a client's event when the client asked, and else says nothing.
pub(crate) fn acknowledge(socket: &ChatSocket, name: &str, ack: Option<u64>, fact: &Fact<'_>) {
    if let Some(ack) = ack {
        let events = dialects::encode(socket.session().terms(), fact);
        confirm(
            socket,
            ack,
            argument(socket, name, fact, &events).as_deref(),
        );
    }
}

/// Encodes that an event of a client without a socket failed, as [`reply`] would tell it.
pub(crate) fn refusal(terms: Terms, event: &Event, failure: &Failure<'_>) -> Vec<Frame> {
    let fact = Fact::Failed(failure);
    let events = dialects::encode(terms, &fact);
    let mut frames: Vec<Frame> = events
        .iter()
        .map(|event| frame(terms.dialect, event))
        .collect();
    if let Some(ack) = event.ack {
        let argument = dialects::ack(terms.dialect, &event.name, &fact, &events);
        let namespace = dialects::namespace(terms.dialect);
        let packet = packet::encode_ack(namespace, ack, argument.as_deref().as_slice());
        frames.push(Frame::text(&packet));
    }
    frames
}

/// Encodes what an acknowledgement says; in the plain protocol, the event itself.
fn argument(
    socket: &ChatSocket,
    name: &str,
    fact: &Fact<'_>,
    events: &[ServerEvent],
) -> Option<String> {
    if is_plain(socket) {
        return Some(dialects::answer(name, fact, events));
    }
    dialects::ack(socket.session().dialect(), name, fact, events)
}

/// Queues the acknowledgement of an event, with one argument or none.
pub(crate) fn confirm(socket: &ChatSocket, ack: u64, argument: Option<&str>) {
    socket.ack(ack, argument.as_slice());
}

fn queue(socket: &ChatSocket, event: &ServerEvent) {
    let frame = frame(socket.session().dialect(), event);
    send(socket, &frame, Class::Message);
}
