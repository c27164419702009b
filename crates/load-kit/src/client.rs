//! A Socket.IO client over WebSocket: as little as generators of load and of faults need.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};

use anyhow::{Context as _, ensure};
use socketio_protocol::ws::{Decoder, Message, OpCode, client};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use crate::stream::{self, Stream};

/// Any mask will do: it guards old proxies against scripts in browsers, and there is neither here.
const MASK: [u8; 4] = [0x5a; 4];
/// The longest message that the generator reads, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// One connected socket on `/chat`.
#[derive(Debug)]
pub struct Client {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    received: VecDeque<String>,
}

impl Client {
    /// Connects to `http://host:port`, or `https://`, and joins the namespace with `token`.
    ///
    /// # Errors
    ///
    /// Returns why it could not connect, or what it was refused with.
    pub async fn connect(url: &str, token: &str) -> anyhow::Result<Self> {
        let (client, _) = Self::open(url, &format!("{{\"token\":\"{token}\"}}")).await?;
        Ok(client)
    }

    /// Connects to `http://host:port`, or `https://`, joins the namespace with the JSON `auth`, and returns the JSON
    /// that was answered, too.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn open(url: &str, auth: &str) -> anyhow::Result<(Self, String)> {
        let (mut stream, host) = stream::connect(url).await?;
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;

        let head = read_head(&mut stream).await?;
        ensure!(
            head.starts_with("HTTP/1.1 101"),
            "the upgrade was refused: {head}"
        );
        let decoder = Decoder::for_client(MAX_MESSAGE);
        let mut client = Self {
            stream,
            decoder,
            received: VecDeque::new(),
        };

        let open = client.next().await?;
        ensure!(
            open.starts_with('0'),
            "expected the open packet, got {open}"
        );
        client.send(&format!("40/chat,{auth}")).await?;
        let connected = client.next().await?;
        let answer = connected
            .strip_prefix("40/chat,")
            .with_context(|| format!("CONNECT was refused: {connected}"))?
            .to_owned();
        Ok((client, answer))
    }

    /// Emits an event; `arguments` is the JSON behind its name.
    ///
    /// # Errors
    ///
    /// Returns that the connection is gone.
    pub async fn emit(&mut self, event: &str, arguments: &str) -> anyhow::Result<()> {
        self.send(&format!("42/chat,[\"{event}\",{arguments}]"))
            .await
    }

    /// Returns the next packet that is no ping; answers those.
    ///
    /// Cancelling it loses nothing: what was read is kept.
    ///
    /// # Errors
    ///
    /// Returns that the connection is gone.
    pub async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            while let Some(packet) = self.received.pop_front() {
                if packet != "2" {
                    return Ok(packet);
                }
                self.send("3").await?;
            }
            self.read().await?;
        }
    }

    /// Waits for the server's next ping and answers it.
    ///
    /// # Errors
    ///
    /// Returns that the connection is gone.
    pub async fn answer_one_ping(&mut self) -> anyhow::Result<()> {
        loop {
            while let Some(packet) = self.received.pop_front() {
                if packet == "2" {
                    return self.send("3").await;
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        poll_fn(|cx| {
            // On the stack only while it is used: ten thousand waiting clients need no buffer.
            let mut buffer = [0; 16 * 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            Poll::Ready(self.take(buffer.filled_mut()))
        })
        .await
    }

    fn take(&mut self, read: &mut [u8]) -> anyhow::Result<()> {
        ensure!(!read.is_empty(), "the server closed the connection");
        let received = &mut self.received;
        let mut closed = false;
        self.decoder.decode(read, |message| match message {
            Message::Text(text) => received.push_back(text.to_owned()),
            Message::Close(_) => closed = true,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
        })?;
        ensure!(!closed, "the server closed the WebSocket");
        Ok(())
    }

    /// Sends one packet as it is.
    ///
    /// # Errors
    ///
    /// Returns that the connection is gone.
    pub async fn send(&mut self, packet: &str) -> anyhow::Result<()> {
        let frame = client::frame(OpCode::Text, packet.as_bytes(), MASK);
        self.stream.write_all(&frame).await?;
        // Over TLS, what is written may wait.
        Ok(self.stream.flush().await?)
    }
}

/// Reads up to the blank line, byte by byte: what follows belongs to the WebSocket.
async fn read_head(stream: &mut Box<dyn Stream>) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 8_192, "the server's answer does not end");
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
