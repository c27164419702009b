//! A scripted Socket.IO client over a real WebSocket.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use serde_json::Value;
use socketio_protocol::ws::{Decoder, Message, OpCode, client};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// An event that the server sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Event(String, Value),
    Ack(u64, Value),
    Disconnected,
    Closed,
}

pub(crate) struct Client {
    stream: TcpStream,
    decoder: Decoder,
    packets: VecDeque<String>,
    closed: bool,
    last_ack: u64,
    offset: Option<String>,
    /// What packets of the namespace begin with, behind their type.
    prefix: &'static str,
}

impl Client {
    /// Connects to `/chat`, which must work.
    pub(crate) async fn connect(gateway: SocketAddr, token: &str) -> Self {
        Self::connect_to(gateway, "/chat", token).await
    }

    /// Connects to a namespace, which must work.
    pub(crate) async fn connect_to(gateway: SocketAddr, namespace: &str, token: &str) -> Self {
        let auth = format!(r#"{{"token":"{token}"}}"#);
        let (client, answer) = Self::attempt(gateway, namespace, &auth, "").await;
        let accepted = format!("40{}{{\"sid\":", client.prefix);
        assert!(answer.starts_with(&accepted), "{answer}");
        client
    }

    /// Sends a CONNECT and returns the server's answer to it.
    pub(crate) async fn attempt(
        gateway: SocketAddr,
        namespace: &str,
        auth: &str,
        headers: &str,
    ) -> (Self, String) {
        let query = "EIO=4&transport=websocket";
        Self::attempt_as(gateway, query, namespace, auth, headers).await
    }

    /// Does so with a query of its own.
    pub(crate) async fn attempt_as(
        gateway: SocketAddr,
        query: &str,
        namespace: &str,
        auth: &str,
        headers: &str,
    ) -> (Self, String) {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let request = format!(
            "GET /socket.io/?{query} HTTP/1.1\r\nHost: {gateway}\r\n{headers}\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", head.escape_ascii());
        let mut client = Self {
            stream,
            decoder: Decoder::for_client(1 << 22),
            packets: VecDeque::new(),
            closed: false,
            last_ack: 0,
            offset: None,
            prefix: if namespace == "/" { "" } else { "/chat," },
        };
        assert!(client.packet().await.unwrap().starts_with('0'));
        let namespace = if namespace == "/" {
            String::new()
        } else {
            format!("{namespace},")
        };
        client.write(&format!("40{namespace}{auth}")).await;
        let answer = client.packet().await.unwrap();
        (client, answer)
    }

    /// Sends one request and returns the beginning of its answer, head and body.
    pub(crate) async fn request(gateway: SocketAddr, query: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let request =
            format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: {gateway}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let n = timeout(DEADLINE, stream.read(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[..n.unwrap()]).into_owned()
    }

    /// Asks for the namespace until the connection is over, and returns how often it was refused.
    pub(crate) async fn connect_until_closed(&mut self, auth: &str) -> usize {
        let packet = format!("40{}{auth}", self.prefix);
        for refusals in 0.. {
            let frame = client::frame(OpCode::Text, packet.as_bytes(), [1, 2, 3, 4]);
            // The server may have gone by now.
            let _ = self.stream.write_all(&frame).await;
            if self.packet().await.is_none() {
                return refusals;
            }
        }
        unreachable!()
    }

    /// Returns the offset of the last event, if that had one.
    pub(crate) fn offset(&self) -> Option<String> {
        self.offset.clone()
    }

    pub(crate) async fn emit(&mut self, name: &str, payload: &Value) {
        let prefix = self.prefix;
        self.write(&format!(r#"42{prefix}["{name}",{payload}]"#))
            .await;
    }

    /// Emits several events in one segment.
    pub(crate) async fn emit_all(&mut self, events: &[(&str, Value)]) {
        let mut bytes = Vec::new();
        for (name, payload) in events {
            let packet = format!(r#"42{}["{name}",{payload}]"#, self.prefix);
            bytes.extend(client::frame(OpCode::Text, packet.as_bytes(), [1, 2, 3, 4]));
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Emits an event with an acknowledgement and returns what comes back with it.
    pub(crate) async fn ask(&mut self, name: &str, payload: &Value) -> Value {
        self.last_ack += 1;
        let ack = self.last_ack;
        let prefix = self.prefix;
        self.write(&format!(r#"42{prefix}{ack}["{name}",{payload}]"#))
            .await;
        loop {
            if let Heard::Ack(id, answer) = self.hear().await
                && id == ack
            {
                return answer;
            }
        }
    }

    /// Returns the next thing the server says.
    pub(crate) async fn hear(&mut self) -> Heard {
        let Some(packet) = self.packet().await else {
            return Heard::Closed;
        };
        let rest = packet.strip_prefix('4').unwrap();
        let (kind, rest) = rest.split_at(1);
        let rest = rest.strip_prefix("/chat,").unwrap_or(rest);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, json) = rest.split_at(digits);
        match kind {
            "1" => Heard::Disconnected,
            "2" => {
                let args: Vec<Value> = serde_json::from_str(json).unwrap();
                let name = args[0].as_str().unwrap().to_owned();
                if let Some(Value::String(offset)) = args.last().filter(|_| 1 < args.len()) {
                    self.offset = Some(offset.clone());
                }
                Heard::Event(name, args.get(1).cloned().unwrap_or_default())
            }
            "3" => {
                let args: Vec<Value> = serde_json::from_str(json).unwrap();
                let argument = args.first().cloned().unwrap_or_default();
                Heard::Ack(id.parse().unwrap(), argument)
            }
            _ => panic!("unexpected packet {packet}"),
        }
    }

    /// Returns the data of the next event, which must be `name`.
    pub(crate) async fn expect(&mut self, name: &str) -> Value {
        let heard = self.hear().await;
        if let Heard::Event(event, data) = &heard
            && event == name
        {
            return data.clone();
        }
        panic!("expected {name}, got {heard:?}");
    }

    /// Passes over everything up to the next event `name`, and returns its data.
    pub(crate) async fn wait_for(&mut self, name: &str) -> Value {
        loop {
            match self.hear().await {
                Heard::Event(heard, data) if heard == name => return data,
                Heard::Event(..) | Heard::Ack(..) => {}
                Heard::Disconnected | Heard::Closed => panic!("closed before {name}"),
            }
        }
    }

    /// Makes sure that nothing was said before an answer that is certain to come.
    pub(crate) async fn expect_silence(&mut self) {
        self.last_ack += 1;
        let ack = self.last_ack;
        let prefix = self.prefix;
        self.write(&format!(r#"42{prefix}{ack}["no_such_event"]"#))
            .await;
        let heard = self.hear().await;
        let is_answer = matches!(heard, Heard::Ack(id, _) if id == ack);
        assert!(is_answer, "expected silence, got {heard:?}");
    }

    async fn packet(&mut self) -> Option<String> {
        loop {
            while let Some(packet) = self.packets.pop_front() {
                if packet == "2" {
                    self.write("3").await;
                } else {
                    return Some(packet);
                }
            }
            if self.closed {
                return None;
            }
            let mut buffer = vec![0; 16 * 1024];
            let n = timeout(DEADLINE, self.stream.read(&mut buffer))
                .await
                .expect("the server says something in time")
                .unwrap_or(0);
            self.closed |= n == 0;
            let (packets, closed) = (&mut self.packets, &mut self.closed);
            self.decoder
                .decode(&mut buffer[..n], |message| match message {
                    Message::Text(text) => packets.push_back(text.to_owned()),
                    Message::Close(_) => *closed = true,
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
                })
                .unwrap();
        }
    }

    async fn write(&mut self, packet: &str) {
        let frame = client::frame(OpCode::Text, packet.as_bytes(), [1, 2, 3, 4]);
        self.stream.write_all(&frame).await.unwrap();
    }
}
