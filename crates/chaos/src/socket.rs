//! A connection to a gateway: over WebSocket, or over polling alone.
//!
//! Only packets of the namespace come out; heartbeats are answered here.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use load_kit::Client;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

/// How long connecting may take; the stock client waits for 20 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a server may be silent: a ping interval and a ping timeout.
const SILENCE: Duration = Duration::from_secs(45);
/// Between two packets in a polling body.
const SEPARATOR: char = '\x1e';

/// How a device connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// WebSocket alone.
    WebSocket,
    /// Polling alone.
    Polling,
}

/// One connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Over WebSocket.
    WebSocket(Box<Client>),
    /// Over polling.
    Polling(Polling),
}

impl Socket {
    /// Connects to `url` and joins the namespace with the JSON `auth`; also returns the answer.
    ///
    /// # Errors
    ///
    /// Returns why not.
    pub async fn open(
        url: &str,
        transport: Transport,
        auth: &str,
    ) -> anyhow::Result<(Self, serde_json::Value)> {
        let connect = async {
            match transport {
                Transport::WebSocket => {
                    let (client, answer) = Client::open(url, auth).await?;
                    anyhow::Ok((Self::WebSocket(Box::new(client)), answer))
                }
                Transport::Polling => {
                    let (polling, answer) = Polling::open(url, auth).await?;
                    Ok((Self::Polling(polling), answer))
                }
            }
        };
        let (socket, answer) = timeout(PATIENCE, connect)
            .await
            .context("connect timeout")??;
        let answer = serde_json::from_str(&answer)?;
        Ok((socket, answer))
    }

    /// Returns the next packet. Cancelling it loses nothing.
    ///
    /// # Errors
    ///
    /// Returns that the connection is gone, or was silent for too long.
    pub async fn next(&mut self) -> anyhow::Result<String> {
        let next = async {
            match self {
                Self::WebSocket(client) => client.next().await,
                Self::Polling(polling) => polling.next().await,
            }
        };
        timeout(SILENCE, next).await.context("ping timeout")?
    }

    /// Leaves as a client does that closes its page: over WebSocket by closing the connection, over
    /// polling by saying so.
    pub async fn close(self) {
        if let Self::Polling(polling) = self {
            polling.close().await;
        }
    }

    /// Sends one packet.
    ///
    /// # Errors
    ///
    /// Returns that the connection is gone, or takes nothing any more.
    pub async fn send(&mut self, packet: &str) -> anyhow::Result<()> {
        let send = async {
            match self {
                Self::WebSocket(client) => client.send(packet).await,
                Self::Polling(polling) => polling.send(packet).await,
            }
        };
        timeout(SILENCE, send).await.context("send timeout")?
    }
}

/// A session that polls: one GET and one POST at a time, each in a task, so that cancelling a wait
/// here cancels no request.
#[derive(Debug)]
pub struct Polling {
    http: reqwest::Client,
    url: String,
    posts: mpsc::Sender<String>,
    packets: mpsc::Receiver<anyhow::Result<String>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Polling {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Polling {
    async fn open(url: &str, auth: &str) -> anyhow::Result<(Self, String)> {
        let http = reqwest::Client::builder().timeout(SILENCE).build()?;
        let url = format!("{url}/socket.io/?EIO=4&transport=polling");
        let opened = get(&http, &url).await?;
        let open = opened.strip_prefix('0').context("no open packet")?;
        let open: serde_json::Value = serde_json::from_str(open)?;
        let sid = open["sid"].as_str().context("no sid")?;
        let url = format!("{url}&sid={sid}");

        let (sender, packets) = mpsc::channel(64);
        let (posts, queue) = mpsc::channel(64);
        let tasks = [
            tokio::spawn(poll(http.clone(), url.clone(), sender.clone())),
            tokio::spawn(post(http.clone(), url.clone(), queue, sender)),
        ];
        let mut polling = Self {
            http,
            url,
            posts,
            packets,
            tasks,
        };
        polling.send(&format!("40/chat,{auth}")).await?;
        let connected = polling.next().await?;
        let answer = connected
            .strip_prefix("40/chat,")
            .with_context(|| format!("CONNECT was refused: {connected}"))?;
        Ok((polling, answer.to_owned()))
    }

    async fn close(self) {
        // Not beside another request.
        let [_, posts] = &self.tasks;
        posts.abort();
        let request = self.http.post(&self.url).body("1");
        // A session that does not hear of it ends by itself.
        let _ = request.timeout(Duration::from_secs(3)).send().await;
    }

    async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            let packet = self.packets.recv().await.context("the polling ended")??;
            match packet.as_str() {
                "2" => self.posts.try_send("3".to_owned())?,
                "6" => {}
                "1" => bail!("the server closed the session"),
                _ => return Ok(packet),
            }
        }
    }

    async fn send(&mut self, packet: &str) -> anyhow::Result<()> {
        Ok(self.posts.send(packet.to_owned()).await?)
    }
}

type Packets = mpsc::Sender<anyhow::Result<String>>;

async fn poll(http: reqwest::Client, url: String, packets: Packets) {
    loop {
        match get(&http, &url).await {
            Ok(body) => {
                for packet in body.split(SEPARATOR) {
                    if packets.send(Ok(packet.to_owned())).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => return drop(packets.send(Err(error)).await),
        }
    }
}

async fn post(
    http: reqwest::Client,
    url: String,
    mut queue: mpsc::Receiver<String>,
    packets: Packets,
) {
    while let Some(packet) = queue.recv().await {
        let answer = http.post(&url).body(packet).send().await;
        if let Err(error) = answer.and_then(reqwest::Response::error_for_status) {
            return drop(packets.send(Err(error.into())).await);
        }
    }
}

async fn get(http: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let answer = http.get(url).send().await?;
    ensure!(answer.status().is_success(), "GET {}", answer.status());
    Ok(answer.text().await?)
}
