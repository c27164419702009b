//! Sockets: Engine.IO and Socket.IO over WebSocket and HTTP long-polling.
//!
//! [`Application`] is the seam to what is above; nothing here knows of chat. The rules of the
//! protocols are those of [`socketio_protocol::connection`]; here are the sockets, the tasks and
//! the queues around it.
//!
//! From the wire upwards: `server` accepts, `http` tells requests apart, `polling` and `upgrade`
//! answer them, `websocket` is the task of a WebSocket. All of them drive a `connection`, which
//! holds an `outbox` for the client and an `inbox` for the application; `worker` empties the latter.
//! What belongs to another gateway goes there by `forward`, and comes in there like any client.

mod application;
mod config;
mod connection;
mod forward;
mod http;
mod inbox;
mod outbox;
mod pages;
mod polling;
mod server;
mod sid;
mod socket;
mod strangers;
mod stream;
mod tunnel;
mod upgrade;
mod websocket;
mod worker;

pub(crate) use self::sid::random;
pub use self::{
    application::{
        Accepted, AfterRefusal, Application, Args, Class, ConnectRequest, Event, Handshake,
        Progress, Reason, Refused, Sent,
    },
    config::{Config, InvalidNetwork, Network},
    outbox::OutboxLimits,
    pages::{Keep, Pages},
    server::Server,
    sid::SidKey,
    socket::{Link, Socket, SocketId},
};
