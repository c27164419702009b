//! What an idle connection costs: opens Socket.IO connections from a process of its own, and
//! prints how much the server grew for each.
//!
//! `cargo run --release -p realtime-gateway --example idle_memory -- --connections 15000`
//!
//! The application remembers nothing here; its share comes on top.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use realtime_gateway::transport::{
    Accepted, Application, Config, ConnectRequest, Event, Reason, Refused, Server, Socket, SocketId,
};
use socketio_protocol::ws::{OpCode, client};
use tokio::{net::TcpListener, time::sleep};

/// Measures the memory of idle connections.
#[derive(Debug, Parser)]
struct Args {
    /// How many connections are opened.
    #[arg(long, default_value_t = 15_000)]
    connections: usize,
    /// How long they stay idle before the second look; longer than 25 s has them pinged.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Opens the connections to this server, and keeps them until standard input ends.
    #[arg(long, hide = true)]
    client: Option<SocketAddr>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.client {
        Some(server) => connect(server, args.connections),
        None => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(measure(&args)),
    }
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    let config = Config {
        max_connections: args.connections + 1_000,
        ..Config::default()
    };
    let server = Server::new(config, Arc::new(Idle));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn({
        let server = server.clone();
        async move { server.serve(listener).await }
    });

    let before = resident_bytes()?;
    let mut client = Command::new(std::env::current_exe()?)
        .args([
            "--connections",
            &args.connections.to_string(),
            "--client",
            &address.to_string(),
        ])
        .stdin(Stdio::piped())
        .spawn()?;
    while server.n_connections() < args.connections {
        ensure!(client.try_wait()?.is_none(), "the client gave up");
        sleep(Duration::from_millis(100)).await;
    }
    for seconds in [1, args.seconds] {
        sleep(Duration::from_secs(seconds)).await;
        let n = server.n_connections();
        let grown = resident_bytes()?.saturating_sub(before);
        writeln!(
            std::io::stdout(),
            "{n} connections, {} bytes each",
            grown / n.max(1)
        )?;
    }
    drop(client.stdin.take());
    client.wait()?;
    Ok(())
}

/// Returns the resident memory of this process.
fn resident_bytes() -> anyhow::Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).context("no such field")?.parse()?;
    Ok(pages * 4_096)
}

/// Opens the connections as a browser behind a proxy does.
fn connect(server: SocketAddr, n: usize) -> anyhow::Result<()> {
    let browser = "sec-ch-ua: \"Chromium\";v=\"140\"\r\n".repeat(12);
    let request = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {server}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost:5173\r\n\
         {browser}\r\n"
    );
    let connect = client::frame(OpCode::Text, br#"40{"token":"none"}"#, [1, 2, 3, 4]);
    let mut open = Vec::with_capacity(n);
    for _ in 0..n {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes())?;
        read_until(&mut stream, b"maxPayload")?;
        stream.write_all(&connect)?;
        read_until(&mut stream, b"40{")?;
        open.push(stream);
    }
    // The connections are open for as long as the parent wants.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn read_until(stream: &mut TcpStream, what: &[u8]) -> anyhow::Result<()> {
    let mut read = Vec::<u8>::new();
    while !read.windows(what.len()).any(|window| window == what) {
        let mut buffer = [0; 1_024];
        let n = stream.read(&mut buffer)?;
        ensure!(n > 0, "the server closed the connection");
        read.extend(buffer.iter().take(n));
    }
    Ok(())
}

/// An application that remembers nothing.
struct Idle;

impl Application for Idle {
    type Session = ();

    fn has_namespace(&self, namespace: &str) -> bool {
        namespace == "/"
    }

    fn origin_allowed(&self, _: &str, _: Option<&str>) -> bool {
        true
    }

    async fn connect(&self, _: ConnectRequest) -> Result<Accepted<()>, Refused> {
        Ok(Accepted {
            session: (),
            id: SocketId::random(),
            pid: None,
        })
    }

    fn connected(&self, _: &Socket<()>) {}

    async fn events(&self, _: Vec<(Socket<()>, Event)>) {}

    fn disconnected(&self, _: &Socket<()>, _: Reason) {}
}
