//! What other services are told of messages, through a JetStream of the test's own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use chat_domain::{
    ConversationId, Receipt, Role, User,
    call::{DeviceId, GatewayId},
};
use chat_store::{
    app::{App, BatchLimits, ServiceTeller},
    nats::Publisher,
    pg::Pg,
    ports::{Directory as _, Origin, Outbox as _},
    ports_out::OutQueue as _,
    ports_presence::PresenceState,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use test_kit::{eventually, nats::Server, redis::Namespace};

use crate::{
    calls_subject::another,
    presence_out::{connect, names, published, publisher},
    presence_subject::Nowhere,
    world::{Pair, World, new, no_roster, private_calls, send, send_many},
};

/// A store, the broker of its sockets, and another one that has the stream.
struct Newsroom {
    world: World,
    store: App,
    pg: Pg,
    sql: PgPool,
    teller: ServiceTeller,
    broker: Server,
}

impl Newsroom {
    async fn new(presence: Arc<dyn PresenceState>) -> Self {
        let broker = Server::start_with_jetstream().unwrap();
        let stream = publisher(&broker).await;
        stream.prepare().await;
        let world = World::new().await;
        let pg = world.pg_of(4).await;
        let port = Arc::new(pg.clone());
        let teller = ServiceTeller::new(port.clone(), presence, Arc::new(stream));
        let sockets = test_kit::nats::connect().await.unwrap();
        let services = Arc::new(teller.clone());
        let (events, work) = Publisher::new(sockets, port.clone(), services, 64);
        tokio::spawn(work);
        let store = App::new(
            port.clone(),
            port.clone(),
            Arc::new(events),
            private_calls(&port, &world.apps),
            no_roster(&port, &world.apps),
            Arc::clone(&world.apps),
            BatchLimits::default(),
        );
        Self {
            store,
            sql: world.sql().await,
            world,
            pg,
            teller,
            broker,
        }
    }

    /// Two who talk, and whose conversation nobody is told of any more.
    async fn talk(&self) -> (Pair, ConversationId) {
        let talk = self.world.talk(&self.store).await;
        sqlx::query("DELETE FROM out_queue")
            .execute(&self.sql)
            .await
            .unwrap();
        talk
    }

    /// Waits until sockets were told of everything.
    async fn told(&self) {
        eventually("the outbox is empty", async || {
            (self.pg.age_seconds().await.unwrap() == 0.0).then_some(())
        })
        .await;
    }

    async fn waiting(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM out_queue");
        count.fetch_one(&self.sql).await.unwrap()
    }

    /// Lets the seconds pass that whoever took a row has for it.
    async fn make_due(&self) {
        let sql = "UPDATE out_queue SET due_at = due_at - interval '1 hour'";
        sqlx::query(sql).execute(&self.sql).await.unwrap();
    }

    async fn sweep(&self) {
        while self.teller.sweep(&self.pg).await.unwrap() {}
    }

    async fn published(&self) -> Vec<(String, Value)> {
        published(&self.broker).await
    }
}

#[tokio::test]
async fn a_message_is_told_by_its_ids_and_its_reader_notified() {
    // Nobody knows who has a device: better once too often than never.
    let room = Newsroom::new(Arc::new(Nowhere)).await;
    let (pair, conversation) = room.talk().await;
    let patient = User {
        name: Some("Pat".to_owned()),
        ..pair.patient.user.clone()
    };
    let id = &room.world.id;
    room.pg.put_user(id, &patient, None).await.unwrap();

    let sent = send(&room.store, &pair.patient, conversation, new("a secret"));
    let message = sent.await.unwrap().message;
    room.told().await;

    let published = room.published().await;
    assert_eq!(names(id, &published), ["message.created", "push.message"]);
    assert!(!format!("{published:?}").contains("secret"));
    let data = |name: &str| {
        let event = published.iter().find(|(_, body)| body["event"] == name);
        event.unwrap().1["data"].clone()
    };
    let stored = &data("message.created")["messages"][0];
    assert_eq!(stored["messageId"], message.id.to_string());
    assert_eq!(stored["conversationId"], conversation.to_string());
    assert_eq!(stored["senderId"], patient.id.as_str());
    let push = data("push.message");
    assert_eq!(push["userId"], pair.consultant.user.id.as_str());
    assert_eq!(push["messageId"], message.id.to_string());
    assert_eq!(
        (&push["senderName"], &push["count"]),
        (&json!("Pat"), &json!(1))
    );
    assert_eq!(room.waiting().await, 0);
}

#[tokio::test]
async fn who_has_a_device_is_not_notified() {
    let namespace = Namespace::new().unwrap();
    let state = another(&namespace);
    let room = Newsroom::new(Arc::new(state.clone())).await;
    let (pair, conversation) = room.talk().await;
    let (id, reader) = (&room.world.id, &pair.consultant.user.id);
    let device = DeviceId {
        gateway: GatewayId(7),
        socket: 1,
    };
    state.come(id, reader, device, false).await.unwrap();

    send(&room.store, &pair.patient, conversation, new("x"))
        .await
        .unwrap();
    room.told().await;
    let while_there = names(id, &room.published().await);
    state.leave(id, reader, device).await.unwrap();
    send(&room.store, &pair.patient, conversation, new("y"))
        .await
        .unwrap();
    room.told().await;

    assert_eq!(while_there, ["message.created"]);
    let expected = ["message.created", "message.created", "push.message"];
    assert_eq!(names(id, &room.published().await), expected);
}

#[tokio::test]
async fn while_the_stream_is_away_messages_go_on_and_are_told_once_it_is_back() {
    let mut room = Newsroom::new(Arc::new(Nowhere)).await;
    let (pair, conversation) = room.talk().await;
    room.broker.stop();

    send_many(&room.store, &pair.patient, conversation, 3).await;
    room.told().await;
    send_many(&room.store, &pair.patient, conversation, 2).await;
    room.told().await;
    assert_eq!(room.waiting().await, 2, "a row for each transaction");
    assert!(room.teller.sweep(&room.pg).await.is_err());

    room.broker.resume().unwrap();
    connect(&room.broker).await;
    eventually("the stream takes events again", async || {
        room.make_due().await;
        room.teller.sweep(&room.pg).await.ok()
    })
    .await;

    assert_eq!(room.waiting().await, 0);
    let published = room.published().await;
    let told = published
        .iter()
        .filter(|(_, body)| body["event"] == "message.created");
    let seqs: Vec<_> = told
        .flat_map(|(_, body)| body["data"]["messages"].as_array().unwrap())
        .map(|message| message["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_is_told_again_is_in_the_stream_once() {
    let room = Newsroom::new(Arc::new(Nowhere)).await;
    let (pair, conversation) = room.talk().await;
    send_many(&room.store, &pair.patient, conversation, 3).await;
    room.told().await;
    let once = room.published().await.len();

    // As if the answer of the stream had come too late.
    let again = "INSERT INTO out_queue (kind, app_ids, conversations, first_seqs, last_seqs)
                 VALUES ('message.created', ARRAY[$1], ARRAY[$2], '{1}', '{3}')";
    let insert = sqlx::query(again).bind(room.world.id.as_str());
    insert
        .bind(conversation.0)
        .execute(&room.sql)
        .await
        .unwrap();
    room.sweep().await;

    assert_eq!(room.waiting().await, 0);
    assert_eq!(room.published().await.len(), once);
}

#[tokio::test]
async fn conversations_and_reading_are_told() {
    let room = Newsroom::new(Arc::new(Nowhere)).await;
    let (pair, conversation) = room.world.talk(&room.store).await;
    let sent = send(&room.store, &pair.patient, conversation, new("x")).await;
    let ids = [sent.unwrap().message.id];

    for _ in 0..2 {
        let origin = Origin::default();
        let reader = &pair.consultant;
        let read = room
            .store
            .receive(reader, conversation, &ids, Receipt::Read, origin);
        read.await.unwrap();
        // It is there already.
        pair.open(&room.store).await;
    }
    room.told().await;
    room.sweep().await;

    let published = room.published().await;
    let expected = [
        "conversation.created",
        "message.created",
        "message.read",
        "push.message",
    ];
    assert_eq!(names(&room.world.id, &published), expected);
    for (_, body) in published {
        let data = &body["data"];
        match body["event"].as_str().unwrap() {
            "conversation.created" => {
                assert_eq!(data["bookingId"], pair.booking.as_str());
                assert_eq!(data["participants"][1]["role"], Role::Patient.as_str());
            }
            "message.read" => {
                assert_eq!(data["userId"], pair.consultant.user.id.as_str());
                assert_eq!(data["messageIds"], json!(ids.map(|id| id.to_string())));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_waits_too_long_is_given_up() {
    let mut room = Newsroom::new(Arc::new(Nowhere)).await;
    room.broker.stop();
    room.world.talk(&room.store).await;
    room.world.talk(&room.store).await;
    let older = "UPDATE out_queue SET created_at = created_at - interval '2 hours'
                 WHERE out_id = (SELECT min(out_id) FROM out_queue)";
    sqlx::query(older).execute(&room.sql).await.unwrap();

    let pruned = room.pg.prune_out(Duration::from_hours(1)).await.unwrap();

    assert_eq!((pruned, room.waiting().await), (1, 1));
}
