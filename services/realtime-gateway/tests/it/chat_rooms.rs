//! Rooms: who hears of typing and reading, and who does not.

use serde_json::json;

use crate::chat::{World, message};

#[tokio::test]
async fn a_left_room_is_silent_until_it_is_joined_again() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let room = json!({ "conversationId": conversation.to_string() });

    patient.emit("leave_conversation", &room).await;
    let left = patient.expect("left_conversation").await;
    assert_eq!(left["conversationId"], conversation.to_string());
    for content in ["one", "two"] {
        consultant
            .emit(
                "send_message",
                &message(conversation, content, "consultant"),
            )
            .await;
        consultant.wait_for("message_sent").await;
    }
    patient.expect_silence().await;

    world.join_patient(&mut patient, conversation).await;
    consultant
        .emit(
            "send_message",
            &message(conversation, "three", "consultant"),
        )
        .await;
    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "three");
}

#[tokio::test]
async fn typing_is_for_the_others_in_the_room() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut tablet = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;
    let mut outside = world.connect_patient(&gateway).await;
    world.join_consultant(&mut consultant, conversation).await;
    world.join_consultant(&mut tablet, conversation).await;
    world.join_patient(&mut patient, conversation).await;
    // Whoever the payload says: it is the token's user who types.
    let room = json!({
        "conversationId": conversation.to_string(),
        "userId": world.patient.as_str(),
        "userType": "patient",
    });

    consultant.emit("typing_start", &room).await;
    let typing = patient.expect("user_typing").await;
    assert_eq!(
        typing,
        json!({
            "userId": world.consultant.as_str(),
            "userType": "consultant",
            "conversationId": conversation.to_string(),
        })
    );
    consultant.emit("typing_stop", &room).await;
    let stopped = patient.expect("user_stopped_typing").await;
    assert_eq!(
        stopped,
        json!({
            "userId": world.consultant.as_str(),
            "conversationId": conversation.to_string(),
        })
    );

    for client in [&mut consultant, &mut tablet, &mut outside] {
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn typing_ends_with_the_typist() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;
    let mut patient = world.connect_patient(&gateway).await;
    world.join_patient(&mut patient, conversation).await;
    let room = json!({ "conversationId": conversation.to_string() });

    consultant.emit("typing_start", &room).await;
    patient.expect("user_typing").await;
    consultant.emit("leave_conversation", &room).await;
    patient.expect("user_stopped_typing").await;

    consultant.emit("typing_start", &room).await;
    patient.expect("user_typing").await;
    drop(consultant);
    patient.expect("user_stopped_typing").await;
}

#[tokio::test]
async fn reading_is_told_to_everybody_in_the_room_but_the_reader() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let other = world.gateway().await;
    let mut consultant = world.connect_consultant(&other).await;
    let mut reader = world.connect_patient(&gateway).await;
    let mut tablet = world.connect_patient(&gateway).await;
    let mut outside = world.connect_consultant(&gateway).await;
    world.join_consultant(&mut consultant, conversation).await;
    world.join_patient(&mut reader, conversation).await;
    world.join_patient(&mut tablet, conversation).await;
    consultant
        .emit(
            "send_message",
            &message(conversation, "read me", "consultant"),
        )
        .await;
    let sent = consultant.wait_for("message_sent").await;
    let id = sent["message"]["id"].clone();
    for client in [&mut reader, &mut tablet, &mut outside] {
        client.wait_for("new_message").await;
    }
    consultant.expect("message_delivered").await;
    outside.expect("message_delivered").await;
    let own = uuid::Uuid::now_v7().to_string();

    let payload = json!({ "conversationId": conversation.to_string(), "messageIds": [id, own] });
    reader.emit("mark_read", &payload).await;

    let marked = reader.expect("marked_as_read").await;
    assert_eq!(marked, json!({ "messageIds": [id], "success": true }));
    let expected = json!({ "conversationId": conversation.to_string(), "messageIds": [id] });
    assert_eq!(consultant.expect("messages_read").await, expected);
    assert_eq!(tablet.expect("messages_read").await, expected);
    reader.expect_silence().await;
    outside.expect_silence().await;
}

#[tokio::test]
async fn nobody_joins_as_somebody_else() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;

    for (user, role) in [
        (&world.consultant, "consultant"),
        (&world.patient, "consultant"),
    ] {
        let payload = json!({
            "conversationId": conversation.to_string(),
            "userId": user.as_str(),
            "userType": role,
        });
        patient.emit("join_conversation", &payload).await;
        assert_eq!(patient.expect("error").await["code"], "unauthorized");
    }
}

#[tokio::test]
async fn sync_returns_what_was_missed() {
    let world = World::new().await;
    let conversation = world.converse();
    for content in ["one", "two", "three"] {
        world
            .store
            .post(conversation, &world.patient, content)
            .await;
    }
    let gateway = world.gateway().await;
    let mut consultant = world.connect_consultant(&gateway).await;

    let mut since = json!({ "since": {} });
    since["since"][conversation.to_string()] = json!(1);
    consultant.emit("sync", &since).await;

    let result = consultant.expect("sync_result").await;
    let synced = &result["conversations"][0];
    assert_eq!(synced["conversationId"], conversation.to_string());
    let contents: Vec<_> = synced["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(contents, ["two", "three"]);
}
