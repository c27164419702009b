//! Engine.IO v4: the packets below Socket.IO, and how a session begins.
//!
//! Sessions, heartbeats and the upgrade between transports are not here: these are only the forms
//! on the wire.

mod open;
mod packet;
pub mod payload;
mod query;

pub use self::{
    open::OpenPacket,
    packet::{Packet, PacketError},
    query::{Query, QueryError, Transport},
};
