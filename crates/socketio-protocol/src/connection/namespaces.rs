//! Socket.IO on one connection: who is in which namespace, and what belongs to it. Whether a
//! namespace exists, and who may enter, the application decides.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Connection, Effect, Sink};
use crate::{
    CloseReason, Frame, Packet, PacketType, ProtocolError, Reassembly,
    binary::{BinaryError, Progress},
    packet::{self, PacketError},
    plain,
};

/// The most namespaces of one connection.
const MAX_NAMESPACES: usize = 8;

/// Names one stay of the client in one namespace; a second stay has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamespaceId(u16);

impl NamespaceId {
    pub(super) const NONE: Self = Self(0);

    /// Returns the number, from 1 up, in the order of the CONNECT packets.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the stay of this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }
}

/// A stay in a namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    id: NamespaceId,
    state: State,
    name: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The application decides.
    Connecting,
    Connected,
    /// The server ended it. What the client sends until it hears of that is ignored.
    Removed,
}

impl Connection {
    /// Lets the client into the namespace it asked for, as `socket_id`, and returns `true`;
    /// `false` when it left or the connection closed before that.
    pub fn accept(
        &mut self,
        id: NamespaceId,
        socket_id: &str,
        pid: Option<&str>,
        sink: Sink<'_>,
    ) -> bool {
        let Some(namespace) = self.stay(id, State::Connecting) else {
            return false;
        };
        namespace.state = State::Connected;
        let answer = packet::encode_connect(&namespace.name, socket_id, pid);
        self.connect_by = None;
        // A plain client is told by the application, who knows more.
        if !self.is_plain() {
            sink(Effect::Send(Frame::text(&answer)));
        }
        true
    }

    /// Keeps the client out of the namespace it asked for. `data` is JSON for the application of
    /// the client.
    pub fn refuse(&mut self, id: NamespaceId, message: &str, data: Option<&str>, sink: Sink<'_>) {
        let Some(namespace) = self.stay(id, State::Connecting) else {
            return;
        };
        let answer = packet::encode_connect_error(&namespace.name, message, data);
        self.namespaces.retain(|namespace| namespace.id != id);
        let answer = if self.is_plain() {
            plain::refusal(message, data)
        } else {
            Frame::text(&answer)
        };
        sink(Effect::Send(answer));
    }

    /// Removes the client from a namespace, and returns whether it was in there.
    pub fn disconnect(&mut self, id: NamespaceId, sink: Sink<'_>) -> bool {
        let Some(namespace) = self.stay(id, State::Connected) else {
            return false;
        };
        namespace.state = State::Removed;
        let packet = packet::encode_disconnect(&namespace.name);
        if self.is_plain() {
            // There is nothing else that it could be in.
            self.close(CloseReason::ServerNamespaceDisconnect, sink);
            return false;
        }
        sink(Effect::Send(Frame::text(&packet)));
        true
    }

    /// Whether events may be sent to the client in this stay.
    #[must_use]
    pub fn is_connected(&self, id: NamespaceId) -> bool {
        self.namespaces
            .iter()
            .any(|namespace| namespace.id == id && namespace.state == State::Connected)
    }

    pub(super) fn socketio_text(
        &mut self,
        text: &str,
        sink: Sink<'_>,
    ) -> Result<(), ProtocolError> {
        if self.reassembly.is_some() {
            return Err(BinaryError::UnexpectedText.into());
        }
        let packet = Packet::parse(text)?;
        if packet.kind.is_binary() {
            let progress = Reassembly::start(&packet, self.config.max_payload)?;
            self.progress(progress, sink)
        } else {
            self.dispatch(&packet, Vec::new(), sink)
        }
    }

    pub(super) fn socketio_binary(
        &mut self,
        data: &[u8],
        sink: Sink<'_>,
    ) -> Result<(), ProtocolError> {
        let reassembly = self
            .reassembly
            .take()
            .ok_or(BinaryError::UnexpectedAttachment)?;
        let progress = reassembly.push(data)?;
        self.progress(progress, sink)
    }

    fn progress(&mut self, progress: Progress, sink: Sink<'_>) -> Result<(), ProtocolError> {
        match progress {
            Progress::Pending(reassembly) => {
                self.reassembly = Some(Box::new(reassembly));
                Ok(())
            }
            Progress::Complete(mut binary) => {
                let attachments = std::mem::take(&mut binary.attachments);
                self.dispatch(&binary.packet(), attachments, sink)
            }
        }
    }

    fn dispatch(
        &mut self,
        packet: &Packet<'_>,
        attachments: Vec<Bytes>,
        sink: Sink<'_>,
    ) -> Result<(), ProtocolError> {
        let found = self
            .namespaces
            .iter()
            .position(|entry| &*entry.name == packet.namespace);
        let entry = found.and_then(|i| self.namespaces.get(i));
        let Some((i, (id, state))) = found.zip(entry.map(|entry| (entry.id, entry.state))) else {
            return self.enter(packet, sink);
        };
        match (packet.kind, state) {
            (PacketType::Connect, State::Removed) => {
                self.namespaces.remove(i);
                return self.enter(packet, sink);
            }
            (PacketType::Event | PacketType::BinaryEvent, State::Connecting | State::Connected) => {
                let event = packet.event()?;
                sink(Effect::Event {
                    id,
                    event,
                    ack_id: packet.ack_id,
                    attachments,
                });
            }
            (PacketType::Disconnect, State::Connecting | State::Connected) => {
                self.namespaces.remove(i);
                sink(Effect::Left(id));
            }
            // Nothing here asks a client for an acknowledgement.
            (PacketType::Ack | PacketType::BinaryAck, _) => {}
            (PacketType::Event | PacketType::BinaryEvent, State::Removed) => {}
            (PacketType::Disconnect, State::Removed) => {}
            // Twice into the same namespace, or a packet that only servers send.
            (PacketType::Connect | PacketType::ConnectError, _) => {
                return Err(PacketError::UnexpectedPayload.into());
            }
        }
        Ok(())
    }

    /// Takes a packet of a namespace that the client is not in: all it can do is to enter.
    fn enter(&mut self, packet: &Packet<'_>, sink: Sink<'_>) -> Result<(), ProtocolError> {
        if packet.kind != PacketType::Connect || self.last_id.0 == u16::MAX {
            return Err(PacketError::UnexpectedPayload.into());
        }
        if self.namespaces.len() == MAX_NAMESPACES {
            self.close(CloseReason::ForcedServerClose, sink);
            return Ok(());
        }
        self.ask(packet.namespace, packet.payload, sink);
        Ok(())
    }

    /// Has the application asked whether the client may enter.
    pub(super) fn ask(&mut self, namespace: &str, auth: Option<&RawValue>, sink: Sink<'_>) {
        let id = NamespaceId(self.last_id.0.saturating_add(1));
        self.last_id = id;
        let name = Arc::<str>::from(namespace);
        self.namespaces.push(Namespace {
            id,
            state: State::Connecting,
            name: Arc::clone(&name),
        });
        sink(Effect::Connect {
            id,
            namespace: name,
            auth,
        });
    }

    /// Returns the only stay of a plain client, if it asked for one.
    pub(super) fn only_stay(&self) -> Option<NamespaceId> {
        self.namespaces.first().map(|namespace| namespace.id)
    }

    fn stay(&mut self, id: NamespaceId, state: State) -> Option<&mut Namespace> {
        self.namespaces
            .iter_mut()
            .find(|namespace| namespace.id == id && namespace.state == state)
    }
}
