//! Sockets: Engine.IO and Socket.IO over WebSocket and HTTP long-polling.
//!
//! [`Application`] is the seam to what is above; nothing here knows of chat.

mod application;
mod socket;

pub use self::{
    application::{
        Accepted, AfterRefusal, Application, Args, Class, ConnectRequest, Event, Handshake, Reason,
        Refused, Sent,
    },
    socket::{Link, Socket, SocketId},
};
