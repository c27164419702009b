//! A server with a small application, and clients that send what they are told, right or wrong.

pub(crate) mod deployment;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use realtime_gateway::transport::{
    Accepted, AfterRefusal, Application, Config, ConnectRequest, Event, Handshake, Reason, Refused,
    Server, Socket, SocketId,
};
use serde_json::json;
use socketio_protocol::ws::{CloseCode, Decoder, Message, OpCode, client};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a port of its own.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server<Echo>,
    pub(crate) echo: Arc<Echo>,
    gone: mpsc::Receiver<Reason>,
}

/// Acknowledges events, or sends them back under the same name. Some names do more.
pub(crate) struct Echo {
    gone: mpsc::Sender<Reason>,
    /// Lets one event `wait` end.
    pub(crate) release: Notify,
    /// The handshake of the last CONNECT.
    pub(crate) handshake: Mutex<Option<Arc<Handshake>>>,
    /// How many batches were handled, and how many events.
    pub(crate) handled: Mutex<(usize, usize)>,
    /// The sockets that sent `busy`.
    busy: Mutex<Vec<u64>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, gone) = mpsc::channel(64);
        let echo = Arc::new(Echo {
            gone: sender,
            release: Notify::new(),
            handshake: Mutex::default(),
            handled: Mutex::default(),
            busy: Mutex::default(),
        });
        let server = Server::new(config, Arc::clone(&echo));
        tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        Self {
            address,
            server,
            echo,
            gone,
        }
    }

    /// Waits for the end of a socket.
    pub(crate) async fn gone(&mut self) -> Reason {
        timeout(PATIENCE, self.gone.recv())
            .await
            .expect("a socket ends")
            .unwrap()
    }

    /// Sends one request on a connection of its own; returns the status, the head and the body.
    pub(crate) async fn http(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !is_complete(&answer) {
            let read = timeout(PATIENCE, stream.read_buf(&mut answer))
                .await
                .expect("an answer");
            if read.unwrap() == 0 {
                break;
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (status(head), head.to_lowercase(), body.to_owned())
    }

    pub(crate) async fn get(&self, query: &str) -> (u16, String) {
        let (status, _, body) = self.http(&get(query, "")).await;
        (status, body)
    }

    pub(crate) async fn post(&self, query: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.http(&post(query, "", body)).await;
        (status, body)
    }

    /// Opens a polling session in the root namespace and returns its query.
    pub(crate) async fn polling(&self) -> String {
        let query = self.polling_handshake().await;
        self.post(&query, "40").await;
        assert!(self.get(&query).await.1.starts_with("40{"));
        query
    }

    /// Opens a polling session and returns its query.
    pub(crate) async fn polling_handshake(&self) -> String {
        let (_, body) = self.get("EIO=4&transport=polling").await;
        let open: serde_json::Value =
            serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
        format!(
            "EIO=4&transport=polling&sid={}",
            open["sid"].as_str().unwrap()
        )
    }

    /// Opens a WebSocket in the root namespace.
    pub(crate) async fn websocket(&self) -> Ws {
        let mut ws = self.websocket_handshake("EIO=4&transport=websocket").await;
        assert!(ws.text().await.starts_with("0{"));
        ws.send("40").await;
        assert!(ws.text().await.starts_with("40{"));
        ws
    }

    pub(crate) async fn websocket_handshake(&self, query: &str) -> Ws {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Ws::handshake(stream, query).await
    }
}

impl Ws {
    pub(crate) async fn handshake(stream: impl Stream + 'static, query: &str) -> Self {
        let mut ws = Self {
            stream: Box::new(stream),
            decoder: Decoder::for_client(usize::MAX),
            queue: Vec::new(),
        };
        ws.stream
            .write_all(upgrade(query, "").as_bytes())
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(
                timeout(PATIENCE, ws.stream.read_u8())
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        assert_eq!(status(&String::from_utf8(head).unwrap()), 101);
        ws
    }
}

pub(crate) fn get(query: &str, headers: &str) -> String {
    format!(
        "GET /socket.io/?{query} HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n{headers}\r\n"
    )
}

pub(crate) fn post(query: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /socket.io/?{query} HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub(crate) fn upgrade(query: &str, headers: &str) -> String {
    format!(
        "GET /socket.io/?{query} HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// Whether an answer is there to its last byte.
fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn status(head: &str) -> u16 {
    head.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status")
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A WebSocket that answers nothing by itself.
pub(crate) struct Ws {
    pub(crate) stream: Box<dyn Stream>,
    decoder: Decoder,
    queue: Vec<Heard>,
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>),
    /// The stream ended.
    Eof,
}

impl Ws {
    pub(crate) async fn send(&mut self, text: &str) {
        self.frame(OpCode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        self.raw(&client::frame(opcode, payload, [7, 8, 9, 10]))
            .await;
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Waits for the next message that is no heartbeat.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            if !self.queue.is_empty() {
                let heard = self.queue.remove(0);
                if heard != Heard::Text("2".to_owned()) {
                    return heard;
                }
                continue;
            }
            let mut buffer = vec![0; 65_536];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("a message");
            let (Ok(n @ 1..), queue) = (read, &mut self.queue) else {
                return Heard::Eof;
            };
            let decoded = self.decoder.decode(&mut buffer[..n], |message| {
                queue.push(match message {
                    Message::Text(text) => Heard::Text(text.to_owned()),
                    Message::Binary(data) => Heard::Binary(data.to_vec()),
                    Message::Ping(data) | Message::Pong(data) => Heard::Pong(data.to_vec()),
                    Message::Close(code) => Heard::Close(code),
                });
            });
            decoded.unwrap();
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        let heard = self.hear().await;
        let Heard::Text(text) = heard else {
            panic!("no text but {heard:?}");
        };
        text
    }

    /// Waits for the end, and returns the code it came with.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.hear().await {
                Heard::Close(code) => return code.map(CloseCode::get),
                Heard::Eof => return None,
                Heard::Text(_) | Heard::Binary(_) | Heard::Pong(_) => {}
            }
        }
    }
}

impl Application for Echo {
    type Session = ();

    fn has_namespace(&self, namespace: &str) -> bool {
        matches!(namespace, "/" | "/chat" | "/closed" | "/forbidden")
    }

    fn origin_allowed(&self, origin: &str, host: Option<&str>) -> bool {
        origin == "https://app.test" || host.is_some_and(|host| origin == format!("http://{host}"))
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Accepted<()>, Refused> {
        *self.handshake.lock() = Some(Arc::clone(&request.handshake));
        let then = match &*request.namespace {
            "/closed" => AfterRefusal::CloseTransport,
            "/forbidden" => AfterRefusal::KeepTransport,
            _ => {
                return Ok(Accepted {
                    session: (),
                    id: SocketId::random(),
                    pid: Some("p".to_owned()),
                });
            }
        };
        Err(Refused {
            message: "No".to_owned(),
            data: Some(json!({ "code": "no" })),
            then,
        })
    }

    fn connected(&self, _: &Socket<()>) {}

    async fn events(&self, batch: Vec<(Socket<()>, Event)>) {
        {
            let mut handled = self.handled.lock();
            *handled = (handled.0 + 1, handled.1 + batch.len());
        }
        for (socket, event) in batch {
            let args = event.args.to_vec();
            let args = args.iter().map(|arg| arg.get()).collect::<Vec<_>>();
            match (&*event.name, event.ack) {
                ("busy", _) => {
                    self.busy.lock().push(socket.number());
                    socket.emit("busy", &[]);
                }
                ("wait", _) => self.release.notified().await,
                ("panic", _) => panic!("as the test wants"),
                ("leave", _) => socket.disconnect(),
                ("kick", _) => socket.close_transport(Reason::Kicked),
                (_, Some(ack)) => _ = socket.ack(ack, &args),
                (name, None) => _ = socket.emit(name, &args),
            }
        }
    }

    fn disconnected(&self, _: &Socket<()>, reason: Reason) {
        self.gone.try_send(reason).unwrap();
    }

    fn is_busy(&self, socket: &Socket<()>) -> bool {
        self.busy.lock().contains(&socket.number())
    }
}
