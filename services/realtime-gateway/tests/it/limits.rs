//! How much users and addresses may ask for, on all sockets and at all gateways.

use chat_domain::AppId;
use chat_proto::{subject, v1};
use futures_util::StreamExt as _;
use prost::Message as _;
use serde_json::{Value, json};

use crate::chat::{Client, Heard, World, message, token};

/// Sends until one is refused, and returns how many were not, and the refusal.
async fn send_until_refused(client: &mut Client, payload: &Value) -> (usize, Value) {
    for sent in 0.. {
        let answer = client.ask("send_message", payload).await;
        if answer["event"] == "error" {
            return (sent, answer["data"].clone());
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_user_has_one_rate_on_all_sockets_and_at_all_gateways() {
    let world = World::new().await;
    let settings = ["--user-messages-per-second=1", "--user-messages-burst=12"];
    let one = world.gateway_settings(&settings).await;
    let other = world.gateway_settings(&settings).await;
    let conversation = world.converse();
    let payload = message(conversation, "hi", "patient");
    let mut used = world.listen(subject::USED).await;
    let mut first = world.connect_patient(&one).await;
    let mut second = world.connect_patient(&one).await;
    let mut elsewhere = world.connect_patient(&other).await;

    for _ in 0..6 {
        let answer = first.ask("send_message", &payload).await;
        assert_ne!(answer["event"], "error", "{answer}");
    }
    let (sent, refusal) = send_until_refused(&mut second, &payload).await;
    assert!((6..9).contains(&sent), "{sent} on the second socket");
    assert_eq!(refusal["code"], "rate_limited");
    assert!(refusal["retryAfterMs"].as_u64().unwrap() <= 1_000);

    // Told within a second or two; the other gateway hears at the same time.
    loop {
        let told = used.next().await.unwrap();
        let told = v1::Used::decode(told.payload).unwrap();
        if told.keys.iter().map(|key| key.micros).sum::<u64>() > 1_000_000 {
            break;
        }
    }
    let (sent, refusal) = send_until_refused(&mut elsewhere, &payload).await;
    assert!(sent < 9, "{sent} at the other gateway");
    assert_eq!(refusal["code"], "rate_limited");

    let mut consultant = world.connect_consultant(&one).await;
    let payload = message(conversation, "hi", "consultant");
    let answer = consultant.ask("send_message", &payload).await;
    assert_ne!(answer["event"], "error", "others may: {answer}");
}

#[tokio::test]
async fn an_app_has_its_own_limits() {
    let world = World::new().await;
    world.set_policy(
        "consult",
        "limits = { messages = { per_minute = 1, burst = 2 }, sockets_per_user = 1 }",
    );
    let gateway = world.gateway().await;
    let payload = message(world.converse(), "hi", "patient");
    let mut client = world.connect_patient(&gateway).await;

    let (sent, refusal) = send_until_refused(&mut client, &payload).await;

    assert_eq!(sent, 2);
    assert!(10_000 < refusal["retryAfterMs"].as_u64().unwrap());
    let _newer = world.connect_patient(&gateway).await;
    client.wait_for("error").await;
    assert_eq!(client.hear().await, Heard::Disconnected);
}

#[tokio::test]
async fn a_user_has_so_many_sockets_at_all_gateways_together() {
    let world = World::new().await;
    let settings = ["--sockets-per-user=3"];
    let one = world.gateway_settings(&settings).await;
    let other = world.gateway_settings(&settings).await;
    let third = world.gateway_settings(&settings).await;
    let mut bystander = world.connect_consultant(&one).await;
    let mut oldest = world.connect_patient(&one).await;
    let mut second = world.connect_patient(&other).await;
    let mut kept = vec![world.connect_patient(&other).await];

    kept.push(world.connect_patient(&third).await);
    assert_eq!(oldest.wait_for("error").await["code"], "rate_limited");
    assert_eq!(oldest.hear().await, Heard::Disconnected);

    kept.push(world.connect_patient(&one).await);
    assert_eq!(second.wait_for("error").await["code"], "rate_limited");
    assert_eq!(second.hear().await, Heard::Disconnected);
    for client in &mut kept {
        client.expect_silence().await;
    }
    bystander.expect_silence().await;
}

#[tokio::test]
async fn a_socket_that_is_gone_is_not_counted_elsewhere() {
    let world = World::new().await;
    let settings = ["--sockets-per-user=2"];
    let one = world.gateway_settings(&settings).await;
    let others = [
        world.gateway_settings(&settings).await,
        world.gateway_settings(&settings).await,
    ];
    let app = AppId::new("consult").unwrap();
    let mut told = world.listen(&subject::user(&app, &world.patient)).await;
    let mut stays = world.connect_patient(&one).await;

    for other in others.iter().cycle().take(6) {
        drop(world.connect_patient(other).await);
        while !says_nobody(&told.next().await.unwrap().payload) {}
    }

    stays.expect_silence().await;
}

/// Whether a gateway says that it has no socket of the user.
fn says_nobody(payload: &[u8]) -> bool {
    let envelope = v1::Envelope::decode(payload).unwrap();
    matches!(
        envelope.body,
        Some(v1::envelope::Body::SocketsTold(told)) if told.sockets.is_empty()
    )
}

#[tokio::test]
async fn calls_are_begun_at_a_rate() {
    let world = World::new().await;
    let gateway = world.gateway_settings(&["--user-calls-per-minute=2"]).await;
    let call = json!({
        "toUserId": world.consultant.as_str(),
        "conversationId": world.converse().to_string(),
        "callType": "video",
    });
    let mut client = world.connect_patient(&gateway).await;

    for _ in 0..2 {
        let answer = client.ask("call:initiate", &call).await;
        assert_ne!(answer["event"], "error", "{answer}");
    }
    let answer = client.ask("call:initiate", &call).await;

    assert_eq!(answer["data"]["code"], "rate_limited", "{answer}");
}

#[tokio::test]
async fn an_address_connects_at_a_rate_and_a_silent_proxy_is_nobody() {
    let world = World::new().await;
    let gateway = world.gateway_settings(&["--handshakes-per-minute=2"]).await;
    let status = async |query: &str, from: &str| {
        let answer = Client::request(gateway.address, query, from).await;
        answer[9..12].parse::<u16>().unwrap()
    };
    let one = "X-Forwarded-For: 203.0.113.7\r\n";
    let polling = "EIO=4&transport=polling";

    assert_eq!(status(polling, one).await, 200);
    assert_eq!(status(polling, one).await, 200);
    let refused = Client::request(gateway.address, polling, one).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains(r#""code":"rate_limited","retryAfterMs":"#));
    assert!(refused.to_lowercase().contains("retry-after: "));
    let upgrade = format!(
        "{one}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    );
    assert_eq!(status("EIO=4&transport=websocket", &upgrade).await, 429);

    assert_eq!(
        status(polling, "X-Forwarded-For: 203.0.113.8\r\n").await,
        200
    );
    for _ in 0..5 {
        assert_eq!(status(polling, "").await, 200);
    }
}

#[tokio::test]
async fn who_tries_bad_tokens_again_and_again_has_to_go() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let bad = json!({ "token": "nonsense" }).to_string();
    let (mut client, _) = Client::attempt(gateway.address, "/chat", &bad, "").await;

    let refusals = client.connect_until_closed(&bad).await;

    assert!((10..100).contains(&refusals), "{refusals}");
    let token = token(&world.patient, "patient");
    let _other = Client::connect(gateway.address, &token).await;
}

#[tokio::test]
async fn who_keeps_on_rests_at_all_gateways_and_nobody_else_does() {
    let world = World::new().await;
    let settings = ["--messages-burst=1", "--refusals-burst=1"];
    let one = world.gateway_settings(&settings).await;
    let other = world.gateway_settings(&settings).await;
    let payload = message(world.converse(), "hi", "patient");
    let mut bystander = world.connect_consultant(&one).await;
    let mut client = world.connect_patient(&one).await;

    let flood = [(); 4].map(|()| ("send_message", payload.clone()));
    client.emit_all(&flood).await;
    while client.hear().await != Heard::Disconnected {}

    let auth = json!({ "token": token(&world.patient, "patient") }).to_string();
    let refused = async |gateway| {
        let (_client, answer) = Client::attempt(gateway, "/chat", &auth, "").await;
        answer.contains(r#""code":"rate_limited","retryAfterMs":"#)
    };
    assert!(refused(one.address).await);
    test_kit::eventually("it rests there, too", async || {
        refused(other.address).await.then_some(())
    })
    .await;
    let _others_may = world.connect_consultant(&other).await;
    bystander.wait_for("new_message").await;
    bystander.expect_silence().await;
}
