//! Sending, and what the sender is told.

use std::sync::atomic::Ordering;

use chat_domain::ConversationId;
use chat_proto::subject::Rpc;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::chat::{Client, Fate, Heard, World, eventually, message, nats_url};

#[tokio::test]
async fn a_message_reaches_both_and_is_confirmed_after() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;
    world.join_consultant(&mut consultant, conversation).await;

    consultant
        .emit(
            "send_message",
            &message(conversation, " hello ", "consultant"),
        )
        .await;

    let heard = consultant.expect("new_message").await;
    let confirmed = consultant.expect("message_sent").await;
    assert_eq!(heard, confirmed);
    assert_eq!(confirmed["message"]["content"], "hello");
    assert_eq!(confirmed["message"]["senderId"], world.consultant.as_str());
    assert_eq!(confirmed["message"]["seq"], 1);
    assert_eq!(confirmed["conversation"]["id"], conversation.to_string());
    assert_eq!(patient.expect("new_message").await, heard);
}

#[tokio::test]
async fn an_acknowledgement_repeats_the_answer() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;

    let answer = consultant
        .ask(
            "send_message",
            &message(conversation, "hello", "consultant"),
        )
        .await;
    assert_eq!(answer["event"], "message_sent");
    assert_eq!(answer["data"]["message"]["content"], "hello");

    let answer = consultant.ask("send_message", &Value::Null).await;
    assert_eq!(answer["event"], "error");
    assert_eq!(answer["data"]["code"], "invalid");
    assert_eq!(answer["data"]["event"], "send_message");
}

#[tokio::test]
async fn a_burst_keeps_its_order_and_shares_appends() {
    let world = World::new().await;
    let conversation = world.converse();
    let settings = ["--messages-burst=200", "--user-messages-burst=200"];
    let gateway = world.gateway_with(&nats_url(), &settings).await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;
    let contents: Vec<String> = (0..150).map(|n| format!("message {n}")).collect();

    let events = contents
        .iter()
        .map(|content| ("send_message", message(conversation, content, "consultant")));
    consultant.emit_all(&events.collect::<Vec<_>>()).await;

    for client in [&mut consultant, &mut patient] {
        for content in &contents {
            let heard = client.wait_for("new_message").await;
            assert_eq!(heard["message"]["content"], *content);
        }
    }
    assert!(world.store.n_requests(Rpc::Append) < 50);
}

#[tokio::test]
async fn users_of_different_gateways_talk() {
    let world = World::new().await;
    let conversation = world.converse();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut consultant = world.connect_consultant(&one).await;
    let mut patient = world.connect_patient(&two).await;

    consultant
        .emit("send_message", &message(conversation, "ping", "consultant"))
        .await;
    assert_eq!(
        patient.expect("new_message").await["message"]["content"],
        "ping"
    );
    patient
        .emit("send_message", &message(conversation, "pong", "patient"))
        .await;

    assert_eq!(
        consultant.wait_for("message_sent").await["message"]["content"],
        "ping"
    );
    assert_eq!(
        consultant.wait_for("new_message").await["message"]["content"],
        "pong"
    );
}

#[tokio::test]
async fn other_devices_of_the_sender_hear_the_message_alone() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut phone = world.connect_patient(&gateway).await;
    let mut laptop = world.connect_patient(&gateway).await;

    phone
        .emit("send_message", &message(conversation, "hello", "patient"))
        .await;

    phone.expect("new_message").await;
    phone.expect("message_sent").await;
    laptop.expect("new_message").await;
    laptop.expect_silence().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_message() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;
    let mut payload = message(conversation, "once", "consultant");
    payload["clientMessageId"] = json!("key-1");

    consultant.emit("send_message", &payload).await;
    let first = consultant.wait_for("message_sent").await;
    consultant.emit("send_message", &payload).await;
    let second = consultant.wait_for("message_sent").await;

    assert_eq!(first["message"]["id"], second["message"]["id"]);
    assert_eq!(first["message"]["clientMessageId"], "key-1");
    patient.expect("new_message").await;
    patient.expect_silence().await;
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_repeated_with_its_key() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    world.store.lost_answers.store(2, Ordering::SeqCst);

    consultant
        .emit("send_message", &message(conversation, "once", "consultant"))
        .await;

    consultant.wait_for("message_sent").await;
    assert_eq!(world.store.n_requests(Rpc::Append), 3);
    assert_eq!(world.store.last_seq(conversation).0, 1);
}

#[tokio::test]
async fn a_message_posted_elsewhere_arrives_like_any_other() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;

    world
        .store
        .post(conversation, &world.patient, "by REST")
        .await;

    let heard = consultant.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "by REST");
    assert_eq!(patient.expect("new_message").await, heard);
}

#[tokio::test]
async fn a_new_conversation_is_heard_from_its_first_message() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let conversation = world.converse();
    world.store.fates.lock().push_back(Fate::Lose);
    world.store.post(conversation, &world.patient, "one").await;

    world.store.post(conversation, &world.patient, "two").await;

    for content in ["one", "two"] {
        let heard = consultant.expect("new_message").await;
        assert_eq!(heard["message"]["content"], content);
    }
}

#[tokio::test]
async fn a_recipient_with_a_live_socket_has_the_message() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;

    consultant
        .emit(
            "send_message",
            &message(conversation, "hello", "consultant"),
        )
        .await;

    let sent = consultant.wait_for("message_sent").await;
    let delivered = consultant.expect("message_delivered").await;
    assert_eq!(delivered["conversationId"], conversation.to_string());
    assert_eq!(delivered["messageIds"], json!([sent["message"]["id"]]));
    assert_eq!(delivered["userId"], world.patient.as_str());
    assert!(delivered["deliveredAt"].is_string());
    assert!(world.store.is_delivered(conversation, 1));
    patient.expect("new_message").await;
    patient.expect_silence().await;
}

#[tokio::test]
async fn bad_input_is_an_error_and_nothing_else() {
    let world = World::new().await;
    let conversation = world.converse();
    let foreign = world.store.converse(&other(), &other());
    let gateway = world.gateway().await;
    let mut client = world.connect_consultant(&gateway).await;
    let good = message(conversation, "hello", "consultant");
    let with = |key: &str, value: Value| {
        let mut payload = good.clone();
        payload[key] = value;
        payload
    };
    let unknown = ConversationId(Uuid::now_v7()).to_string();

    for (event, payload, code) in [
        ("send_message", Value::Null, "invalid"),
        ("send_message", json!(7), "invalid"),
        ("send_message", json!("text"), "invalid"),
        ("send_message", json!([good]), "invalid"),
        ("send_message", json!({}), "invalid"),
        ("send_message", with("content", json!("  \n ")), "invalid"),
        ("send_message", with("content", json!("a\0b")), "invalid"),
        (
            "send_message",
            with("content", json!("é".repeat(4_001))),
            "invalid",
        ),
        (
            "send_message",
            with("content", json!({"$ne": 1})),
            "invalid",
        ),
        (
            "send_message",
            with("messageType", json!("system")),
            "invalid",
        ),
        (
            "send_message",
            with("senderType", json!("patient")),
            "unauthorized",
        ),
        (
            "send_message",
            with("conversationId", json!("nonsense")),
            "invalid",
        ),
        (
            "send_message",
            with("conversationId", json!(foreign.to_string())),
            "unauthorized",
        ),
        (
            "send_message",
            with("conversationId", json!(unknown)),
            "not_found",
        ),
        (
            "join_conversation",
            json!({"conversationId": conversation.to_string()}),
            "invalid",
        ),
        (
            "typing_start",
            json!({"conversationId": foreign.to_string()}),
            "unauthorized",
        ),
        (
            "mark_read",
            json!({"conversationId": conversation.to_string()}),
            "invalid",
        ),
        ("mark_read", Value::Null, "invalid"),
        ("sync", json!({"since": {"x": 1}}), "invalid"),
        ("auth:refresh", json!({"token": "x"}), "token_invalid"),
    ] {
        client.emit(event, &payload).await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], code, "{event} {payload}: {error}");
        assert_eq!(error["event"], event);
    }
    client.emit("send_message", &good).await;
    client.expect("new_message").await;
    client.expect("message_sent").await;
    assert_eq!(world.store.last_seq(conversation).0, 1);
}

#[tokio::test]
async fn unknown_events_are_ignored() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = world.connect_consultant(&gateway).await;

    client.emit("who_knows", &json!({})).await;
    let answer = client.ask("who_knows", &json!({})).await;

    assert_eq!(answer["event"], "error");
    assert_eq!(answer["data"]["code"], "invalid");
    client.expect_silence().await;
}

#[tokio::test]
async fn over_the_limit_is_an_error_and_then_the_end() {
    let world = World::new().await;
    let conversation = world.converse();
    let settings = [
        "--messages-burst=2",
        "--messages-per-second=1",
        "--refusals-burst=3",
    ];
    let gateway = world.gateway_with(&nats_url(), &settings).await;
    let mut client = world.connect_consultant(&gateway).await;

    let events: Vec<_> = (0..6)
        .map(|_| ("send_message", message(conversation, "flood", "consultant")))
        .collect();
    client.emit_all(&events).await;

    for _ in 0..3 {
        let error = client.wait_for("error").await;
        assert_eq!(error["code"], "rate_limited");
        assert!(error["retryAfterMs"].as_u64().is_some_and(|ms| 0 < ms));
    }
    client.wait_for("error").await;
    assert_eq!(client.hear().await, Heard::Disconnected);
    eventually(|| world.store.last_seq(conversation).0 == 2).await;
}

fn other() -> chat_domain::UserId {
    chat_domain::UserId::new(&Uuid::new_v4().to_string()).unwrap()
}

/// A frame that is too large closes its own socket and no other.
#[tokio::test]
async fn a_frame_that_is_too_large_closes_only_its_socket() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut bystander = world.connect_patient(&gateway).await;
    let mut client: Client = world.connect_consultant(&gateway).await;

    let huge = "x".repeat(1_500_000);
    client
        .emit("send_message", &message(conversation, &huge, "consultant"))
        .await;

    assert_eq!(client.hear().await, Heard::Closed);
    bystander.expect_silence().await;
}
