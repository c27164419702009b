//! Events that are lost, repeated, late or forged.

use bytes::Bytes;
use chat_domain::{AppId, ConversationId, Seq};
use chat_proto::{WireId as _, subject, v1};
use prost::Message as _;
use serde_json::json;

use crate::chat::{Fate, Proxy, World, message, nats_url};

#[tokio::test]
async fn a_lost_event_is_fetched_when_the_next_one_comes() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world
        .store
        .fates
        .lock()
        .extend([Fate::Publish, Fate::Lose, Fate::Lose, Fate::Repeat]);

    for content in ["one", "two", "three", "four"] {
        world
            .store
            .post(conversation, &world.consultant, content)
            .await;
    }

    for content in ["one", "two", "three", "four"] {
        let heard = patient.expect("new_message").await;
        assert_eq!(heard["message"]["content"], content);
    }
    patient.expect_silence().await;
}

#[tokio::test]
async fn a_lost_last_event_is_found_after_a_join() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world.join_patient(&mut patient, conversation).await;
    world.store.fates.lock().push_back(Fate::Lose);

    world
        .store
        .post(conversation, &world.consultant, "lost")
        .await;

    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "lost");
}

#[tokio::test]
async fn a_sender_behind_a_gap_is_confirmed_in_order() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world.store.fates.lock().extend([Fate::Lose, Fate::Lose]);
    world
        .store
        .post(conversation, &world.consultant, "lost")
        .await;

    patient
        .emit("send_message", &message(conversation, "mine", "patient"))
        .await;

    for content in ["lost", "mine"] {
        let heard = patient.expect("new_message").await;
        assert_eq!(heard["message"]["content"], content);
    }
    patient.expect("message_sent").await;
}

#[tokio::test]
async fn a_long_gap_is_closed_in_pieces() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    post_lost(&world, conversation, 1_100).await;

    world
        .store
        .post(conversation, &world.consultant, "now")
        .await;

    for seq in 1..=1_101 {
        let heard = patient.expect("new_message").await;
        assert_eq!(heard["message"]["seq"], seq);
    }
}

#[tokio::test]
async fn a_gap_too_long_to_close_is_told() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    post_lost(&world, conversation, 5_100).await;

    world
        .store
        .post(conversation, &world.consultant, "now")
        .await;

    let resync = patient.expect("resync").await;
    let expected = json!([{ "conversationId": conversation.to_string(), "lastSeq": 5_101 }]);
    assert_eq!(resync["conversations"], expected);
    world
        .store
        .post(conversation, &world.consultant, "next")
        .await;
    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "next");
}

/// Stores messages whose events are lost.
async fn post_lost(world: &World, conversation: ConversationId, n: usize) {
    world.store.fates.lock().extend(vec![Fate::Lose; n]);
    for n in 0..n {
        let content = n.to_string();
        world
            .store
            .post(conversation, &world.consultant, &content)
            .await;
    }
}

#[tokio::test]
async fn what_was_published_during_an_outage_arrives_after_it() {
    let world = World::new().await;
    let conversation = world.converse();
    let proxy = Proxy::new(nats_url().replace("nats://", "")).await;
    let gateway = world.gateway_with(&proxy.address.to_string(), &[]).await;
    let mut patient = world.connect_patient(&gateway).await;
    world
        .store
        .post(conversation, &world.consultant, "before")
        .await;
    patient.expect("new_message").await;

    proxy.cut();
    for content in ["one", "two"] {
        world
            .store
            .post(conversation, &world.consultant, content)
            .await;
    }
    proxy.restore();

    for content in ["one", "two"] {
        let heard = patient.expect("new_message").await;
        assert_eq!(heard["message"]["content"], content);
    }
    world
        .store
        .post(conversation, &world.consultant, "live")
        .await;
    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "live");
}

#[tokio::test]
async fn a_conversation_that_began_during_an_outage_is_found_after_it() {
    let world = World::new().await;
    let known = world.converse();
    let proxy = Proxy::new(nats_url().replace("nats://", "")).await;
    let gateway = world.gateway_with(&proxy.address.to_string(), &[]).await;
    let mut patient = world.connect_patient(&gateway).await;
    world.store.post(known, &world.consultant, "before").await;
    patient.expect("new_message").await;

    proxy.cut();
    let new = world.converse();
    for content in ["one", "two"] {
        world.store.post(new, &world.consultant, content).await;
    }
    proxy.restore();

    for content in ["one", "two"] {
        let heard = patient.expect("new_message").await;
        assert_eq!(heard["message"]["content"], content);
    }
    patient.expect_silence().await;
}

#[tokio::test]
async fn a_failover_that_reuses_places_loses_no_new_message() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    for content in ["one", "two", "three"] {
        world
            .store
            .post(conversation, &world.consultant, content)
            .await;
        patient.expect("new_message").await;
    }

    world.store.fail_over(conversation, 2);
    for content in ["new two", "new three"] {
        let seq = world
            .store
            .post(conversation, &world.consultant, content)
            .await;
        assert!(seq <= Seq(3));
        let heard = patient.expect("new_message").await;
        assert_eq!(heard["message"]["content"], content);
    }
}

#[tokio::test]
async fn what_means_nothing_is_dropped() {
    let world = World::new().await;
    let conversation = world.converse();
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    let app = AppId::new("consult").unwrap();
    let subject = subject::user(&app, &world.patient);
    let nats = async_nats::connect(nats_url()).await.unwrap();
    let envelope = v1::Envelope {
        version: 1,
        app: "consult".to_owned(),
        epoch: 1,
        ..v1::Envelope::default()
    };
    let typing = |user: &str, role: &str| {
        v1::envelope::Body::Typing(v1::Typing {
            conversation_id: conversation.to_wire(),
            user_id: user.to_owned(),
            role: role.to_owned(),
            active: true,
        })
    };
    let with = |body| v1::Envelope {
        body: Some(body),
        ..envelope.clone()
    };

    for payload in [
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::new(),
        envelope.encode_to_vec().into(),
        with(typing("", "patient")).encode_to_vec().into(),
        with(typing("somebody", "root")).encode_to_vec().into(),
        with(v1::envelope::Body::MessageAppended(
            v1::MessageAppended::default(),
        ))
        .encode_to_vec()
        .into(),
        with(v1::envelope::Body::MessagesReceived(
            v1::MessagesReceived::default(),
        ))
        .encode_to_vec()
        .into(),
    ] {
        nats.publish(subject.clone(), payload).await.unwrap();
    }
    nats.flush().await.unwrap();

    world
        .store
        .post(conversation, &world.consultant, "still here")
        .await;
    let heard = patient.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "still here");
}
