//! Clients that come back: over time, with others, and with stores that fail.

use std::sync::atomic::Ordering;

use chat_domain::{ConversationId, Seq, UserId};
use serde_json::{Value, json};

use crate::chat::{Client, Fate, Gateway, Heard, World, token};

/// What a client keeps of its session.
#[derive(Debug, Clone)]
struct Kept {
    pid: String,
    offset: Option<String>,
}

/// Connects, with what was kept if anything was, and returns the answer's `sid` and `pid`.
async fn connect(
    world: &World,
    gateway: &Gateway,
    query: &str,
    kept: Option<&Kept>,
) -> (Client, Value) {
    let mut auth = json!({ "token": token(&world.patient, "patient") });
    if let Some(kept) = kept {
        auth["pid"] = json!(kept.pid);
        auth["offset"] = json!(kept.offset);
    }
    let auth = auth.to_string();
    let attempt = Client::attempt_as(gateway.address, query, "/chat", &auth, "");
    let (client, answer) = attempt.await;
    let body = answer.strip_prefix("40/chat,").unwrap();
    (client, serde_json::from_str(body).unwrap())
}

const JAVASCRIPT: &str = "EIO=4&transport=websocket";
const PYTHON: &str = "transport=websocket&EIO=4";

/// Tells the patient of `n` messages, and returns what its client keeps then.
async fn told(
    world: &World,
    gateway: &Gateway,
    conversation: ConversationId,
    n: u64,
) -> (Client, Kept) {
    let (mut client, answer) = connect(world, gateway, JAVASCRIPT, None).await;
    for _ in 0..n {
        world.store.post(conversation, &world.consultant, "x").await;
        client.expect("new_message").await;
    }
    let kept = Kept {
        pid: answer["pid"].as_str().unwrap().to_owned(),
        offset: client.offset(),
    };
    (client, kept)
}

async fn expect_messages(client: &mut Client, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        let heard = client.wait_for("new_message").await;
        assert_eq!(heard["message"]["seq"], seq);
    }
}

const KEY: &str =
    "--deployment-key=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

impl World {
    async fn with_key(&self, settings: &[&str]) -> Gateway {
        let settings: Vec<&str> = [KEY].iter().chain(settings).copied().collect();
        self.gateway_with(&crate::chat::nats_url(), &settings).await
    }
}

#[tokio::test]
async fn a_client_is_recovered_at_another_gateway_and_told_what_it_missed() {
    let world = World::new().await;
    let conversation = world.converse();
    let (here, there) = (world.with_key(&[]).await, world.with_key(&[]).await);
    let (client, kept) = told(&world, &here, conversation, 2).await;
    drop(client);
    world.store.fates.lock().extend([Fate::Lose; 3]);
    for _ in 0..3 {
        world.store.post(conversation, &world.consultant, "x").await;
    }

    let (mut client, answer) = connect(&world, &there, JAVASCRIPT, Some(&kept)).await;

    assert_eq!(answer["pid"], kept.pid);
    expect_messages(&mut client, 3..=5).await;
    world.store.post(conversation, &world.consultant, "x").await;
    expect_messages(&mut client, 6..=6).await;
}

#[tokio::test]
async fn without_a_common_key_a_session_ends_with_its_gateway() {
    let world = World::new().await;
    let conversation = world.converse();
    let (here, there) = (world.gateway().await, world.gateway().await);
    let (client, kept) = told(&world, &here, conversation, 1).await;
    drop(client);

    let (mut client, answer) = connect(&world, &there, JAVASCRIPT, Some(&kept)).await;

    assert_ne!(answer["pid"], kept.pid);
    client.expect("resync").await;
}

#[tokio::test]
async fn a_session_ends_with_its_window() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    let (client, kept) = told(&world, &gateway, conversation, 1).await;
    drop(client);
    let strict = world.with_key(&["--recovery-window=0"]).await;

    let heard = async {
        // An offset is of whole seconds.
        loop {
            let (mut client, answer) = connect(&world, &strict, JAVASCRIPT, Some(&kept)).await;
            if answer["pid"] != kept.pid {
                return client.expect("resync").await;
            }
        }
    };

    let heard = tokio::time::timeout(crate::chat::DEADLINE, heard).await;
    let expected = json!([{ "conversationId": conversation.to_string(), "lastSeq": 1 }]);
    assert_eq!(heard.unwrap()["conversations"], expected);
}

#[tokio::test]
async fn a_client_that_cannot_be_told_everything_gets_a_session_of_its_own() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    let (client, kept) = told(&world, &gateway, conversation, 1).await;
    drop(client);
    world.store.fates.lock().extend(vec![Fate::Lose; 5_001]);
    for _ in 0..5_001 {
        world.store.post(conversation, &world.consultant, "x").await;
    }

    let there = world.with_key(&[]).await;
    let (mut client, answer) = connect(&world, &there, JAVASCRIPT, Some(&kept)).await;

    assert_ne!(answer["pid"], kept.pid);
    let heard = client.expect("resync").await;
    assert_eq!(heard["conversations"][0]["lastSeq"], 5_002);
    world.store.post(conversation, &world.consultant, "x").await;
    expect_messages(&mut client, 5_003..=5_003).await;
}

#[tokio::test]
async fn a_client_that_comes_back_while_the_store_is_away_is_told_to_fetch_later() {
    let world = World::new().await;
    let conversation = world.converse();
    let (here, there) = (world.with_key(&[]).await, world.with_key(&[]).await);
    let (client, kept) = told(&world, &here, conversation, 1).await;
    drop(client);
    world.store.is_down.store(true, Ordering::SeqCst);

    let (mut client, answer) = connect(&world, &there, JAVASCRIPT, Some(&kept)).await;

    assert_eq!(answer["pid"], Value::Null);
    world.store.is_down.store(false, Ordering::SeqCst);
    client.expect("resync").await;
}

#[tokio::test]
async fn a_new_generation_of_the_database_ends_every_session() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    let (client, kept) = told(&world, &gateway, conversation, 3).await;
    drop(client);
    world.store.fail_over(conversation, 1);

    let (mut client, answer) = connect(&world, &gateway, JAVASCRIPT, Some(&kept)).await;

    assert_ne!(answer["pid"], kept.pid);
    client.expect("resync").await;
}

#[tokio::test]
async fn a_gateway_whose_clock_is_wrong_tells_all_that_follows_a_failover() {
    let world = World::new().await;
    world.store.behind_ms.store(7_200_000, Ordering::SeqCst);
    let conversation = world.converse();
    for _ in 0..2 {
        world.store.post(conversation, &world.consultant, "x").await;
    }
    let gateway = world.gateway().await;
    let mut client = world.connect_patient(&gateway).await;
    world.store.fail_over(conversation, 0);
    world.store.fates.lock().push_back(Fate::Lose);

    for _ in 0..2 {
        world.store.post(conversation, &world.consultant, "x").await;
    }

    expect_messages(&mut client, 3..=4).await;
}

#[tokio::test]
async fn clients_in_python_get_events_as_the_protocol_shows_them() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;

    let (mut client, answer) = connect(&world, &gateway, PYTHON, None).await;

    assert_eq!(answer["pid"], Value::Null);
    world.store.post(conversation, &world.consultant, "x").await;
    client.expect("new_message").await;
    assert_eq!(client.offset(), None);
}

#[tokio::test]
async fn every_event_carries_an_offset_that_works() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    let (mut client, answer) = connect(&world, &gateway, JAVASCRIPT, None).await;
    let pid = answer["pid"].as_str().unwrap().to_owned();
    let payload = json!({
        "conversationId": conversation.to_string(),
        "userId": world.patient.as_str(),
        "userType": "patient",
    });

    client.emit("join_conversation", &payload).await;
    client.expect("joined_conversation").await;
    let joined = client.offset();
    client.emit("join_conversation", &json!(7)).await;
    client.expect("error").await;
    let failed = client.offset();
    let call = json!({ "toUserId": world.consultant.as_str(), "callType": "video",
        "conversationId": conversation.to_string() });
    client.emit("call:initiate", &call).await;
    client.expect("call:ringing").await;
    let called = client.offset();

    for offset in [joined, failed, called] {
        assert!(offset.is_some());
        let pid = pid.clone();
        let kept = Kept { pid, offset };
        let (_client, answer) = connect(&world, &gateway, JAVASCRIPT, Some(&kept)).await;
        assert_eq!(answer["pid"], kept.pid, "{kept:?}");
    }
}

#[tokio::test]
async fn a_message_that_comes_while_a_client_comes_back_is_told_once() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    // Another device keeps the conversation's order going at the gateway.
    let _other = world.connect_patient(&gateway).await;
    let (client, mut kept) = told(&world, &gateway, conversation, 1).await;
    drop(client);

    let mut last = 1;
    for _ in 0..20 {
        let posted = world.store.post(conversation, &world.consultant, "x");
        let ((mut client, answer), Seq(posted)) =
            tokio::join!(connect(&world, &gateway, JAVASCRIPT, Some(&kept)), posted);
        assert_eq!(answer["pid"], kept.pid);
        expect_messages(&mut client, last + 1..=posted).await;
        last = posted;
        kept.offset = client.offset();
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_sent_everything_and_holds_up_nobody() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    let (mut slow, _answer) = connect(&world, &gateway, JAVASCRIPT, None).await;
    let mut brisk = world.connect_consultant(&gateway).await;
    let long = "x".repeat(4_000);
    let n = 2_000;

    // Several times what may wait for a client, and more than the kernel takes.
    let write = async {
        for _ in 0..n {
            world
                .store
                .post(conversation, &world.consultant, &long)
                .await;
        }
    };
    tokio::join!(write, expect_messages(&mut brisk, 1..=n));

    expect_messages(&mut slow, 1..=n).await;
    world.store.post(conversation, &world.consultant, "x").await;
    expect_messages(&mut slow, n + 1..=n + 1).await;
}

#[tokio::test]
async fn what_is_kept_is_of_no_use_to_anybody_else() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.with_key(&[]).await;
    let (_client, kept) = told(&world, &gateway, conversation, 1).await;

    let stranger: UserId = World::user();
    let auth = json!({
        "token": token(&stranger, "patient"), "pid": kept.pid, "offset": kept.offset,
    });
    let auth = auth.to_string();
    let attempt = Client::attempt(gateway.address, "/chat", &auth, "");
    let (mut client, answer) = attempt.await;

    assert!(!answer.contains(&kept.pid), "{answer}");
    let heard = client.expect("resync").await;
    assert_eq!(heard["conversations"], json!([]));
}

#[tokio::test]
async fn the_connection_that_a_client_lost_is_closed_wherever_it_is() {
    let world = World::new().await;
    let conversation = world.converse();
    let (here, there) = (world.with_key(&[]).await, world.with_key(&[]).await);
    // Its network is gone, and nobody has noticed.
    let (mut lost, kept) = told(&world, &here, conversation, 1).await;
    let mut other_device = world.connect_patient(&here).await;

    let (mut client, _answer) = connect(&world, &there, JAVASCRIPT, Some(&kept)).await;

    while lost.hear().await != Heard::Closed {}
    world.store.post(conversation, &world.consultant, "x").await;
    expect_messages(&mut client, 2..=2).await;
    expect_messages(&mut other_device, 2..=2).await;
}
