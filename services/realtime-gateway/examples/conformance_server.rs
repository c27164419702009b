//! The server that the official protocol suites of Engine.IO and Socket.IO expect:
//! `cargo run -p realtime-gateway --example conformance_server -- --port 3000`.
//!
//! The transport is the gateway's own; there is no chat. On `/engine.io/` every message is echoed.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use realtime_gateway::transport::{
    Accepted, Application, Class, Config, ConnectRequest, Event, Reason, Refused, Server, Socket,
    SocketId,
};
use socketio_protocol::{
    Frame,
    connection::{self, Layer},
    packet,
};
use tokio::{net::TcpListener, time::timeout};

/// Serves the protocol suites until it is interrupted.
#[derive(Debug, Parser)]
struct Args {
    /// The port on the loopback interface.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Ends by itself after this many seconds.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Milliseconds between two pings.
    #[arg(long, default_value_t = 300)]
    ping_interval: u64,
    /// Milliseconds the client has for its pong.
    #[arg(long, default_value_t = 200)]
    ping_timeout: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let config = Config {
        paths: vec![
            ("/engine.io/".to_owned(), Layer::EngineIo),
            ("/socket.io/".to_owned(), Layer::SocketIo),
        ],
        protocol: connection::Config {
            ping_interval: Duration::from_millis(args.ping_interval),
            ping_timeout: Duration::from_millis(args.ping_timeout),
            connect_timeout: Duration::from_secs(1),
            ..connection::Config::default()
        },
        ..Config::default()
    };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    let server = Server::new(config, Arc::new(Echo));

    // Its end is the end of the time it was given.
    let _ = timeout(Duration::from_secs(args.seconds), server.serve(listener)).await;
    Ok(())
}

/// Sends back what it gets.
struct Echo;

/// What a client said of itself, as JSON.
type Auth = Box<str>;

impl Application for Echo {
    type Session = Auth;

    fn has_namespace(&self, namespace: &str) -> bool {
        matches!(namespace, "/" | "/custom")
    }

    fn origin_allowed(&self, _: &str, _: Option<&str>) -> bool {
        true
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Accepted<Auth>, Refused> {
        let session = request
            .auth
            .as_deref()
            .map_or("{}", |auth| auth.get())
            .into();
        Ok(Accepted {
            session,
            id: SocketId::random(),
            pid: None,
        })
    }

    fn connected(&self, socket: &Socket<Auth>) {
        socket.emit("auth", &[socket.session()]);
    }

    async fn events(&self, batch: Vec<(Socket<Auth>, Event)>) {
        for (socket, event) in batch {
            if let Some(head) = answer(&socket, &event) {
                let mut frames = vec![Frame::text(&head)];
                frames.extend(event.attachments.iter().map(|data| Frame::binary(data)));
                socket.send_all(&frames, Class::Message);
            }
        }
    }

    fn disconnected(&self, _: &Socket<Auth>, _: Reason) {}
}

/// Returns the packet that gives an event back, or acknowledges it, with its own arguments.
fn answer(socket: &Socket<Auth>, event: &Event) -> Option<String> {
    let args = event.args.to_vec();
    let args = &*args.iter().map(|arg| arg.get()).collect::<Vec<_>>();
    let namespace = socket.namespace();
    match (&*event.name, event.ack, event.attachments.len()) {
        ("message", _, 0) => Some(packet::encode_event(namespace, None, "message-back", args)),
        ("message", _, n) => Some(packet::encode_binary_event(
            namespace,
            None,
            "message-back",
            args,
            n,
        )),
        ("message-with-ack", Some(ack), 0) => Some(packet::encode_ack(namespace, ack, args)),
        ("message-with-ack", Some(ack), n) => {
            Some(packet::encode_binary_ack(namespace, ack, args, n))
        }
        _ => None,
    }
}
