//! Streams between gateways over a real NATS.

use std::{sync::Arc, time::Duration};

use realtime_gateway::{
    nats,
    peers::{Failure, PeerStream, Peers},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::chat::{DEADLINE, Proxy, nats_url};

struct Gateway {
    peers: Arc<Peers>,
    carrying: JoinHandle<()>,
}

impl Gateway {
    async fn new(url: &str) -> Self {
        let peers = Peers::new(&format!("test-{}", Uuid::new_v4().simple()), 100);
        let client = async_nats::connect(url).await.unwrap();
        let carrying = tokio::spawn({
            let (client, peers) = (client.clone(), Arc::clone(&peers));
            async move {
                let Err(error) = nats::carry(&client, &peers).await;
                panic!("{error}");
            }
        });
        while peers.open("nobody").is_err() {
            tokio::task::yield_now().await;
        }
        // What is answered was asked behind the subscription, which is in effect then.
        client.request("nobody", "".into()).await.unwrap_err();
        Self { peers, carrying }
    }

    fn open(&self, to: &Self) -> PeerStream {
        self.peers.open(to.peers.name()).unwrap()
    }

    async fn accept(&self) -> PeerStream {
        timeout(DEADLINE, self.peers.accept()).await.unwrap()
    }
}

async fn pair() -> (Gateway, Gateway) {
    let url = nats_url();
    tokio::join!(Gateway::new(&url), Gateway::new(&url))
}

/// Reads all that comes until the end.
async fn read(stream: &mut PeerStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut bytes));
    read.await.expect("an end in time")?;
    Ok(bytes)
}

/// Opens a stream and has it accepted.
async fn stream(from: &Gateway, to: &Gateway) -> (PeerStream, PeerStream) {
    let mut here = from.open(to);
    here.write_all(b"x").await.unwrap();
    let mut there = to.accept().await;
    assert_eq!(
        timeout(DEADLINE, there.read_u8()).await.unwrap().unwrap(),
        b'x'
    );
    (here, there)
}

#[tokio::test]
async fn what_goes_in_comes_out_in_both_directions() {
    let (a, b) = pair().await;
    let much = (0..=250).cycle().take(1_500_000).collect::<Vec<u8>>();
    let (mut here, mut there) = stream(&a, &b).await;

    let (asked, answered) = (much.clone(), much.iter().rev().copied().collect::<Vec<_>>());
    let answer = answered.clone();
    let serve = tokio::spawn(async move {
        let question = read(&mut there).await.unwrap();
        there.write_all(&answer).await.unwrap();
        there.shutdown().await.unwrap();
        question
    });
    here.write_all(&asked).await.unwrap();
    here.shutdown().await.unwrap();

    assert!(read(&mut here).await.unwrap() == answered);
    assert!(serve.await.unwrap() == much);
    assert_eq!(here.fate().failure(), None);
}

#[tokio::test]
async fn a_gateway_that_never_was_is_unreachable_at_once() {
    let a = Gateway::new(&nats_url()).await;
    let mut stream = a.peers.open("nobody-there").unwrap();
    let fate = stream.fate();

    stream.write_all(b"x").await.unwrap();
    let error = read(&mut stream).await.unwrap_err();

    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(fate.failure(), Some(Failure::Unreachable));
}

#[tokio::test]
async fn a_gateway_that_dies_is_noticed_though_nothing_is_said() {
    let (a, b) = pair().await;
    let (mut here, _there) = stream(&a, &b).await;

    b.carrying.abort();

    read(&mut here).await.unwrap_err();
    assert_eq!(here.fate().failure(), Some(Failure::Unreachable));
}

#[tokio::test]
async fn a_stream_that_is_dropped_fails_at_the_other_end() {
    let (a, b) = pair().await;
    let (here, mut there) = stream(&a, &b).await;

    drop(here);

    read(&mut there).await.unwrap_err();
    assert_eq!(there.fate().failure(), Some(Failure::Reset));
}

#[tokio::test]
async fn after_a_reconnect_streams_are_whole_or_over_and_new_ones_work() {
    let url = nats_url();
    let target = url.trim_start_matches("nats://").to_owned();
    let proxy = Proxy::new(target).await;
    let through = format!("nats://{}", proxy.address);
    let (a, b) = tokio::join!(Gateway::new(&through), Gateway::new(&url));
    let (mut here, mut there) = stream(&a, &b).await;

    let sent = tokio::spawn(async move {
        for i in 0..=u8::MAX {
            if here.write_all(&vec![i; 10_000]).await.is_err() {
                return;
            }
        }
        let _ = here.shutdown().await;
        // Until the other end has it.
        let _ = read(&mut here).await;
    });
    proxy.cut();
    proxy.restore();
    let mut got = Vec::new();
    let outcome = timeout(Duration::from_secs(30), there.read_to_end(&mut got))
        .await
        .unwrap();

    let whole = (0..=u8::MAX)
        .flat_map(|i| vec![i; 10_000])
        .collect::<Vec<_>>();
    assert!(whole.starts_with(&got));
    assert!(outcome.is_err() || got == whole);
    drop(there);
    sent.await.unwrap();
    let again = async {
        loop {
            let mut here = a.open(&b);
            let mut there = tokio::select! {
                there = b.peers.accept() => there,
                _ = read(&mut here) => continue,
            };
            let wrote = there.write_all(b"again").await;
            if wrote.and(there.shutdown().await).is_ok()
                && let Ok(bytes) = read(&mut here).await
            {
                return bytes;
            }
        }
    };
    assert_eq!(
        timeout(Duration::from_secs(30), again).await.unwrap(),
        b"again"
    );
}
