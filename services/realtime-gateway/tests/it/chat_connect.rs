//! Who is let in, for how long, and what happens when others are away.

use std::sync::atomic::Ordering;

use chat_domain::UserId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::chat::{Client, Heard, Proxy, World, message, nats_url, now_s, token, token_until};

/// Attempts a connect and returns the message and the code of its error.
async fn refused(world: &World, namespace: &str, auth: &str, headers: &str) -> (String, Value) {
    let gateway = world.gateway().await;
    let (_client, answer) = Client::attempt(gateway.address, namespace, auth, headers).await;
    let json = answer.strip_prefix("44").unwrap();
    let json = json.strip_prefix("/chat,").unwrap_or(json);
    let error: Value = serde_json::from_str(&json[json.find('{').unwrap()..]).unwrap();
    let message = error["message"].as_str().unwrap().to_owned();
    (message, error["data"]["code"].clone())
}

#[tokio::test]
async fn a_bad_token_is_refused_with_its_code() {
    let world = World::new().await;
    let expired = token_until(&world.patient, "patient", now_s() - 60);
    let wrong_role = token(&world.patient, "doctor");
    let no_uuid = token(&UserId::new("42").unwrap(), "patient");

    for (token, text, code) in [
        (
            json!(null),
            "Authentication token required",
            "token_missing",
        ),
        (json!(""), "Authentication token required", "token_missing"),
        (json!("nonsense"), "Invalid token", "token_invalid"),
        (json!({ "a": 1 }), "Invalid token", "token_invalid"),
        (json!(expired), "Token expired", "token_expired"),
        (json!(wrong_role), "Invalid token", "token_invalid"),
        (json!(no_uuid), "Invalid token", "token_invalid"),
    ] {
        let auth = json!({ "token": token }).to_string();
        let refusal = refused(&world, "/chat", &auth, "").await;
        assert_eq!(refusal, (text.to_owned(), json!(code)), "{token}");
    }
    let refusal = refused(&world, "/chat", "", "").await;
    assert_eq!(refusal.1, "token_missing");
}

#[tokio::test]
async fn unknown_namespaces_are_refused() {
    let world = World::new().await;
    let auth = json!({ "token": token(&world.patient, "patient") }).to_string();

    for namespace in ["/", "/other"] {
        let (text, _code) = refused(&world, namespace, &auth, "").await;
        assert_eq!(text, "Invalid namespace", "{namespace}");
    }
}

#[tokio::test]
async fn a_token_may_come_with_the_request() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let token = token(&world.patient, "patient");

    for (auth, headers) in [
        (format!(r#"{{"token":"Bearer {token}"}}"#), String::new()),
        (String::new(), format!("Authorization: Bearer {token}\r\n")),
        (
            String::new(),
            format!("Cookie: a=b; access_token={token}\r\n"),
        ),
        (
            "{}".to_owned(),
            format!("Authorization: Basic eA==\r\nCookie: access_token={token}\r\n"),
        ),
    ] {
        let attempt = Client::attempt(gateway.address, "/chat", &auth, &headers);
        let (_client, answer) = attempt.await;
        assert!(answer.starts_with("40/chat,"), "{answer} {headers}");
    }
}

#[tokio::test]
async fn a_client_without_positions_is_let_in_and_told_to_fetch() {
    let world = World::new().await;
    let conversation = world.converse();
    world
        .store
        .post(conversation, &world.consultant, "before")
        .await;
    let gateway = world.gateway().await;
    world.store.is_down.store(true, Ordering::SeqCst);

    let mut patient = world.connect_patient(&gateway).await;
    world.store.is_down.store(false, Ordering::SeqCst);

    let resync = patient.expect("resync").await;
    let expected = json!([{ "conversationId": conversation.to_string(), "lastSeq": 1 }]);
    assert_eq!(resync["conversations"], expected);
    world
        .store
        .post(conversation, &world.consultant, "after")
        .await;
    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "after");
}

#[tokio::test]
async fn a_client_is_let_in_while_the_broker_is_away() {
    let world = World::new().await;
    let conversation = world.converse();
    let target = nats_url().replace("nats://", "");
    let proxy = Proxy::new(target).await;
    let gateway = world.gateway_with(&proxy.address.to_string(), &[]).await;
    proxy.cut();

    let mut patient = world.connect_patient(&gateway).await;
    world
        .store
        .post(conversation, &world.consultant, "missed")
        .await;
    proxy.restore();

    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "missed");
}

#[tokio::test]
async fn one_socket_too_many_ends_the_oldest() {
    let world = World::new().await;
    let gateway = world
        .gateway_with(&nats_url(), &["--sockets-per-user=2"])
        .await;
    let mut first = world.connect_patient(&gateway).await;
    let mut second = world.connect_patient(&gateway).await;

    let mut third = world.connect_patient(&gateway).await;

    assert_eq!(first.expect("error").await["code"], "rate_limited");
    assert_eq!(first.hear().await, Heard::Disconnected);
    second.expect_silence().await;
    third.expect_silence().await;
}

#[tokio::test]
async fn an_expired_token_is_told_and_can_be_renewed() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    // Within the leeway of the verification, but over.
    let old = token_until(&world.patient, "patient", now_s() - 1);
    let mut patient = Client::connect(gateway.address, &old).await;

    let error = patient.expect("error").await;
    assert_eq!(
        error,
        json!({ "message": "Token expired", "code": "token_expired" })
    );

    let foreign = token(
        &UserId::new(&Uuid::new_v4().to_string()).unwrap(),
        "patient",
    );
    patient
        .emit("auth:refresh", &json!({ "token": foreign }))
        .await;
    assert_eq!(patient.expect("error").await["code"], "unauthorized");
    patient.emit("auth:refresh", &json!({ "token": old })).await;
    assert_eq!(patient.expect("error").await["code"], "invalid");
    let new = token(&world.patient, "patient");
    let answer = patient.ask("auth:refresh", &json!({ "token": new })).await;
    assert_eq!(answer["event"], "auth:refreshed");
    assert!(answer["data"]["expiresAt"].is_string());
}

#[tokio::test]
async fn a_drained_gateway_ends_and_its_clients_can_come_back() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    patient
        .emit("send_message", &message(conversation, "hello", "patient"))
        .await;
    patient.wait_for("message_sent").await;

    gateway.drain().await;

    // The transport ends, not the session: a stock client reconnects.
    assert_eq!(patient.hear().await, Heard::Closed);
}
