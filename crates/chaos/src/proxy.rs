//! TCP proxies that can be cut, black-holed, delayed, throttled and reset while traffic flows.
//!
//! Each direction is a task of its own that asks before each chunk what is wrong with it. What
//! arrived while a direction is black-holed waits in the sender's buffers, as on a real network.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{sleep, timeout},
};

use crate::{deliveries::Deliveries, rng::Rng};

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;
/// How long an event waits for a later one that could come before it.
const HELD: Duration = Duration::from_millis(100);

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Nothing passes from the service to the server; connections stay.
    pub mute: bool,
    /// Nothing passes from the server to the service; connections stay.
    pub deaf: bool,
    /// Connections are ended, and new ones are refused.
    pub cut: bool,
    /// How long each chunk waits.
    pub delay: Duration,
    /// Bytes a second; 0 is no limit.
    pub throttle: u64,
    /// Of a hundred events from NATS, how many come after a later one, and of the others how many twice.
    pub disorder: u64,
    /// Of a hundred events from NATS about conversations and calls, how many are lost.
    pub loss: u64,
    /// Raised to reset the connections there are, once.
    pub resets: u64,
}

/// One service's way to one server.
#[derive(Debug)]
pub struct Link {
    /// Who goes through it: `g1`, `s2`.
    pub service: String,
    /// What is behind it: `nats`, `redis`, `postgres`.
    pub server: String,
    trouble: Arc<watch::Sender<Trouble>>,
    target: Arc<AtomicU16>,
}

impl Link {
    /// Listens on `port` of loopback, in front of `target` there.
    ///
    /// # Errors
    ///
    /// Returns that the port is taken.
    pub async fn open(service: &str, server: &str, port: u16, target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("port {port} is taken"))?;
        let (trouble, state) = watch::channel(Trouble::default());
        let target = Arc::new(AtomicU16::new(target));
        let is_client = server == "nats" && !service.starts_with("nats");
        tokio::spawn(serve(listener, Arc::clone(&target), state, is_client));
        Ok(Self {
            service: service.to_owned(),
            server: server.to_owned(),
            trouble: Arc::new(trouble),
            target,
        })
    }

    /// Changes what is wrong with it.
    pub fn change(&self, change: impl FnOnce(&mut Trouble)) {
        self.trouble.send_modify(change);
    }

    /// Ends all trouble.
    pub fn heal(&self) {
        self.trouble.send_modify(|trouble| {
            *trouble = Trouble {
                resets: trouble.resets,
                ..Trouble::default()
            };
        });
    }

    /// Leads to another port from now on; what led to the one before is reset.
    pub fn retarget(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
        self.reset();
    }

    /// Resets the connections there are; new ones may be made at once.
    pub fn reset(&self) {
        self.trouble.send_modify(|trouble| trouble.resets += 1);
    }
}

async fn serve(
    listener: TcpListener,
    target: Arc<AtomicU16>,
    state: watch::Receiver<Trouble>,
    is_client: bool,
) {
    loop {
        match listener.accept().await {
            Ok((service, _)) if !state.borrow().cut => {
                let target = target.load(Ordering::Relaxed);
                tokio::spawn(pass(service, target, state.clone(), is_client));
            }
            Ok((service, _)) => drop(service),
            // Out of file descriptors, perhaps: connections that end give some back.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn pass(
    service: TcpStream,
    target: u16,
    mut state: watch::Receiver<Trouble>,
    is_client: bool,
) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let _ = (service.set_nodelay(true), server.set_nodelay(true));
    let resets = state.borrow().resets;
    let (from_service, to_service) = service.into_split();
    let (from_server, to_server) = server.into_split();
    let there = flow(from_service, to_server, state.clone(), None, |trouble| {
        trouble.mute
    });
    let says = is_client.then(|| Deliveries::new(Rng::new(0)));
    let back = flow(from_server, to_service, state.clone(), says, |trouble| {
        trouble.deaf
    });
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = state.wait_for(|trouble| trouble.cut || trouble.resets != resets) => {}
    }
}

/// Passes bytes on in one direction until either side ends.
async fn flow(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Trouble>,
    mut says: Option<Deliveries>,
    is_blocked: fn(&Trouble) -> bool,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk);
        let read = if says.as_ref().is_some_and(Deliveries::is_holding) {
            timeout(HELD, read).await
        } else {
            Ok(read.await)
        };
        let n = match read {
            Ok(Ok(n @ 1..)) => n,
            Ok(_) => return,
            Err(_nothing_more) => 0,
        };
        // A value of its own: the guard must not live over the next wait.
        let healthy = state.wait_for(|trouble| !is_blocked(trouble)).await;
        let Ok(trouble) = healthy.map(|now| *now) else {
            return;
        };
        let millis = (n as u64 * 1_000).checked_div(trouble.throttle);
        sleep(trouble.delay + Duration::from_millis(millis.unwrap_or(0))).await;
        let read = chunk.get(..n).unwrap_or_default();
        let passed = match &mut says {
            Some(says) if n == 0 => Cow::Owned(says.release()),
            Some(says) => Cow::Owned(says.take(read, &trouble)),
            None => Cow::Borrowed(read),
        };
        if to.write_all(&passed).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A server that echoes, and a link in front of it.
    async fn echo(server: &str) -> (Link, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        (Link::open("g1", server, port, target).await.unwrap(), port)
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) {
        stream.write_all(text).await.unwrap();
    }

    async fn hear(stream: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        timeout(SOON, stream.read_exact(&mut heard))
            .await
            .unwrap()
            .unwrap();
        heard
    }

    #[tokio::test]
    async fn what_was_black_holed_arrives_once_it_is_healed() {
        let (link, port) = echo("redis").await;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut stream, b"a").await;
        assert_eq!(hear(&mut stream, 1).await, b"a");

        link.change(|trouble| trouble.mute = true);
        say(&mut stream, b"b").await;
        let mut byte = [0];
        assert!(
            timeout(Duration::from_millis(50), stream.read(&mut byte))
                .await
                .is_err(),
            "it came through"
        );

        link.heal();
        assert_eq!(hear(&mut stream, 1).await, b"b");
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_lets_none_through_until_it_is_healed() {
        let (link, port) = echo("redis").await;
        let mut before = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut before, b"a").await;
        hear(&mut before, 1).await;

        link.change(|trouble| trouble.cut = true);
        let mut byte = [0];
        assert!(matches!(
            timeout(SOON, before.read(&mut byte)).await,
            Ok(Ok(0) | Err(_))
        ));
        let mut during = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        assert!(matches!(
            timeout(SOON, during.read(&mut byte)).await,
            Ok(Ok(0) | Err(_))
        ));

        link.heal();
        let mut after = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut after, b"b").await;
        assert_eq!(hear(&mut after, 1).await, b"b");
    }

    #[tokio::test]
    async fn a_reset_ends_the_connections_there_are_and_no_others() {
        let (link, port) = echo("redis").await;
        let mut before = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut before, b"a").await;
        hear(&mut before, 1).await;

        link.reset();
        let mut byte = [0];
        assert!(matches!(
            timeout(SOON, before.read(&mut byte)).await,
            Ok(Ok(0) | Err(_))
        ));

        let mut after = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut after, b"b").await;
        assert_eq!(hear(&mut after, 1).await, b"b");
    }

    #[tokio::test]
    async fn a_link_that_leads_elsewhere_ends_what_led_to_the_place_before() {
        let (link, port) = echo("redis").await;
        let mut before = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut before, b"a").await;
        hear(&mut before, 1).await;

        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        link.retarget(elsewhere.local_addr().unwrap().port());
        let mut byte = [0];
        assert!(matches!(
            timeout(SOON, before.read(&mut byte)).await,
            Ok(Ok(0) | Err(_))
        ));

        let mut after = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut after, b"b").await;
        let (mut heard, _) = timeout(SOON, elsewhere.accept()).await.unwrap().unwrap();
        assert_eq!(hear(&mut heard, 1).await, b"b");
    }

    #[tokio::test]
    async fn an_event_that_waits_for_a_later_one_does_not_wait_for_ever() {
        let (link, port) = echo("nats").await;
        link.change(|trouble| trouble.disorder = 100);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let event = b"MSG chat.v1.usr.a.b 1 2\r\nhi\r\n";

        say(&mut stream, event).await;
        assert_eq!(hear(&mut stream, event.len()).await, event);

        let (first, rest) = event.split_at(9);
        say(&mut stream, first).await;
        say(&mut stream, rest).await;
        assert_eq!(hear(&mut stream, event.len()).await, event);
    }
}
