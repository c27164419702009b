//! Clients without a token, where an app lets them say who they are.

use chat_domain::{AppId, Revocation, Revoked, UserId};
use serde_json::{Value, json};

use crate::{
    chat::{Client, Gateway, Heard, World, now_s, sign, token_of},
    dialects::clinic,
};

/// Connects without a token, and returns the answer, too.
async fn knock(gateway: &Gateway, namespace: &str) -> (Client, String) {
    Client::attempt(gateway.address, namespace, "{}", "").await
}

async fn stranger(gateway: &Gateway, namespace: &str) -> Client {
    let (client, answer) = knock(gateway, namespace).await;
    assert!(answer.contains("{\"sid\":"), "{answer}");
    client
}

async fn refused(client: &mut Client, event: &str, payload: Value, message: &str) {
    client.emit(event, &payload).await;
    let error = client.wait_for("error").await;
    assert_eq!(error["message"], message, "{event} {payload}");
    assert_eq!(error["event"], event);
}

#[tokio::test]
async fn who_has_no_token_says_who_it_is_before_anything_else() {
    let world = World::declaring(&["clinic"]).await;
    let pair = clinic(&world);
    let gateway = world.gateway().await;
    let mut admin = pair.connect_other(&gateway).await;
    let mut doctor = stranger(&gateway, "/").await;
    let message = json!({ "receiver_email": pair.other, "content": "hello" });

    let not_yet = "User not identified";
    refused(&mut doctor, "send_message", message.clone(), not_yet).await;
    refused(&mut doctor, "user_joined", json!({}), "Email required").await;
    let nobody = json!({ "email": "nobody@example.org" });
    refused(&mut doctor, "user_joined", nobody, "User not found").await;
    let email = json!({ "email": pair.one.to_uppercase() });
    doctor.emit("user_joined", &email).await;
    assert_eq!(doctor.wait_for("user_online").await["email"], *pair.one);
    doctor.emit("send_message", &message).await;

    let sent = doctor.wait_for("message_sent_confirmed").await;
    assert_eq!(sent["sender_email"], *pair.one);
    assert_eq!(admin.expect("receive_message").await, sent);
    let reply = json!({ "receiver_email": pair.one, "content": "and you" });
    admin.emit("send_message", &reply).await;
    assert_eq!(
        doctor.wait_for("receive_message").await["content"],
        "and you"
    );
    let other = json!({ "email": pair.other });
    let text = "email must be that of the token";
    refused(&mut doctor, "user_joined", other, text).await;
}

#[tokio::test]
async fn what_is_asked_for_is_acknowledged_to_strangers_too() {
    let world = World::declaring(&["clinic"]).await;
    let gateway = world.gateway().await;
    let mut client = stranger(&gateway, "/").await;

    let answer = client.ask("user_typing", &json!({})).await;

    assert_eq!(answer, Value::Null, "{answer}");
}

#[tokio::test]
async fn who_is_revoked_is_sent_away_and_believed_no_more_at_every_gateway() {
    let world = World::declaring(&["clinic"]).await;
    let pair = clinic(&world);
    let gateways = [world.gateway().await, world.gateway().await];
    let join = json!({ "email": pair.one });
    let mut bystander = stranger(&gateways[0], "/").await;
    bystander
        .emit("user_joined", &json!({ "email": pair.other }))
        .await;
    bystander.wait_for("user_online").await;
    let mut doctors = Vec::new();
    for gateway in &gateways {
        let mut doctor = stranger(gateway, "/").await;
        doctor.emit("user_joined", &join).await;
        doctor.wait_for("user_online").await;
        doctors.push(doctor);
    }

    let revocation = Revocation {
        app: AppId::new("clinic").unwrap(),
        revoked: Revoked::User {
            user: UserId::new(&pair.one).unwrap(),
            issued_until: service_kit::now(),
        },
        expires_at: None,
    };
    world.store.revoke(revocation, true).await;

    for mut doctor in doctors {
        assert_eq!(doctor.wait_for("error").await["code"], "token_invalid");
        assert_eq!(doctor.hear().await, Heard::Disconnected);
    }
    for gateway in &gateways {
        let mut doctor = stranger(gateway, "/").await;
        refused(&mut doctor, "user_joined", join.clone(), "Invalid token").await;
    }
    let claims = json!({
        "sub": pair.one, "email": pair.one, "role": "doctor",
        "iat": now_s() + 10, "exp": now_s() + 3_600,
    });
    let later = sign("clinic", &claims);
    let _doctor = Client::connect_to(gateways[0].address, "/", &later).await;
    bystander
        .emit("user_joined", &json!({ "email": pair.other }))
        .await;
    bystander.wait_for("user_online").await;
}

#[tokio::test]
async fn a_token_always_wins() {
    let world = World::declaring(&["clinic"]).await;
    let pair = clinic(&world);
    let gateway = world.gateway().await;

    let bad = r#"{"token":"no.good.token"}"#;
    let (_client, answer) = Client::attempt(gateway.address, "/", bad, "").await;
    assert!(answer.contains("token_invalid"), "{answer}");
    let token = token_of("clinic", &pair.one, "doctor");
    let mut doctor = Client::connect_to(gateway.address, "/", &token).await;
    let other = json!({ "email": pair.other });
    let text = "email must be that of the token";
    refused(&mut doctor, "user_joined", other, text).await;
}

#[tokio::test]
async fn an_app_that_does_not_ask_for_it_lets_nobody_in() {
    let world = World::new().await;
    let declaring = World::declaring(&["clinic"]).await;
    let gateways = [world.gateway().await, declaring.gateway().await];

    for (gateway, namespace) in [
        (&gateways[0], "/"),
        (&gateways[0], "/chat"),
        (&gateways[1], "/chat"),
    ] {
        let (_client, answer) = knock(gateway, namespace).await;
        assert!(answer.contains("token_missing"), "{namespace}: {answer}");
    }
}

#[tokio::test]
async fn nobody_is_anybody_of_another_app() {
    let world = World::declaring(&["clinic"]).await;
    let gateway = world.gateway().await;
    let mut client = stranger(&gateway, "/").await;
    // Known in the app of consultations alone.
    let conversation = world.converse();

    let email = json!({ "email": world.patient.as_str() });
    refused(&mut client, "user_joined", email, "User not found").await;
    let join = json!({
        "conversationId": conversation.to_string(),
        "userId": world.patient.as_str(), "userType": "patient",
    });
    refused(
        &mut client,
        "join_conversation",
        join,
        "User not identified",
    )
    .await;
}

#[tokio::test]
async fn in_consult_a_join_says_who_it_is() {
    let world = World::declaring(&["consult"]).await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut client = stranger(&gateway, "/chat").await;
    let join = |role: &str| {
        json!({
            "conversationId": conversation.to_string(),
            "userId": world.patient.as_str(), "userType": role,
        })
    };

    client.emit("join_conversation", &join("patient")).await;
    client.wait_for("joined_conversation").await;
    let mut liar = stranger(&gateway, "/chat").await;
    liar.emit("join_conversation", &join("consultant")).await;

    assert_eq!(liar.wait_for("error").await["code"], "unauthorized");
}

#[tokio::test]
async fn a_stranger_that_keeps_on_has_to_leave() {
    let world = World::declaring(&["clinic"]).await;
    let gateway = world.gateway().await;
    let mut client = stranger(&gateway, "/").await;

    for _ in 0..8 {
        client.emit("user_typing", &json!({})).await;
    }

    let mut n_errors = 0;
    loop {
        match client.hear().await {
            Heard::Event(name, _) if name == "error" => n_errors += 1,
            Heard::Disconnected => break,
            other @ (Heard::Event(..) | Heard::Ack(..) | Heard::Closed) => panic!("{other:?}"),
        }
    }
    assert_eq!(n_errors, 8);
}
