//! What other services are told, through a JetStream of the test's own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{self, consumer::pull};
use chat_domain::{
    AppId, Content, Conversation, ConversationId, Message, MessageId, MessageKind, Participant,
    Presence, PresenceChange, Role, Seq, Status, Subject, SubjectId, Timestamp, User, UserId,
    call::{CallKind, CallRules, Outcome, Switchboard},
};
use chat_proto::subject::OUT_STREAM;
use chat_store::{
    nats::{OutLimits, OutPublisher},
    ports::{Directory as _, Received, Sink as _},
    ports_out::{NewMessages, OutEvent, Outgoing as _},
    redis::RedisState,
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use service_kit::Service;
use test_kit::{eventually, nats::Server, redis::Namespace};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    calls_phones::Phones,
    calls_subject::{self, another, app, party, read_log, request},
    presence_subject::{drained, read_presence},
};

const LIMITS: OutLimits = OutLimits {
    max_age: Duration::from_hours(1),
    max_bytes: 1 << 20,
};

pub(crate) async fn connect(broker: &Server) -> async_nats::Client {
    eventually("the broker is up", async || {
        async_nats::connect(broker.url()).await.ok()
    })
    .await
}

pub(crate) async fn publisher(broker: &Server) -> OutPublisher {
    let health = Service::detached().health.dependency("jetstream");
    OutPublisher::new(connect(broker).await, LIMITS, health)
}

fn read_out(state: &RedisState, out: OutPublisher) -> DropGuard {
    let stop = CancellationToken::new();
    let (state, stopped) = (state.clone(), stop.clone());
    tokio::spawn(async move { state.read_out("reader", &out, &stopped).await });
    stop.drop_guard()
}

/// Everything in the stream: subject and body.
pub(crate) async fn published(broker: &Server) -> Vec<(String, Value)> {
    let context = jetstream::new(connect(broker).await);
    let mut stream = context.get_stream(OUT_STREAM).await.unwrap();
    let n = usize::try_from(stream.info().await.unwrap().state.messages).unwrap();
    let config = pull::Config::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(n);
    let messages: Vec<_> = messages.collect().await;
    let read = |message: &jetstream::Message| {
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        let headers = message.headers.as_ref().unwrap();
        assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), body["id"]);
        assert_eq!(
            headers.get("Content-Type").unwrap().as_str(),
            "application/json"
        );
        (message.subject.to_string(), body)
    };
    messages
        .iter()
        .map(|message| read(message.as_ref().unwrap()))
        .collect()
}

/// The names of the events of an app, sorted.
pub(crate) fn names(app: &AppId, published: &[(String, Value)]) -> Vec<String> {
    let prefix = format!("chat.v1.out.{app}.");
    let mut names: Vec<_> = published
        .iter()
        .map(|(subject, _)| subject.strip_prefix(&prefix).unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_call_to_somebody_without_a_device_is_pushed_and_the_push_taken_back() {
    let broker = Server::start_with_jetstream().unwrap();
    let phones = Phones::new().await;
    let caller = User {
        name: Some("Pat".to_owned()),
        ..phones.pair.patient.user.clone()
    };
    phones
        .pg
        .put_user(&phones.world.id, &caller, None)
        .await
        .unwrap();
    let _readers = (
        read_log(&phones.state, "reader", Arc::new(phones.recorder())),
        read_out(&phones.state, publisher(&broker).await),
    );

    phones.ring().await;
    phones.end(phones.caller_party()).await.unwrap();
    calls_subject::drained(&phones.namespace).await;
    drained(&phones.namespace, "out").await;

    let published = published(&broker).await;
    let expected = [
        "call.cancelled",
        "call.ringing",
        "push.call",
        "push.call_cancelled",
    ];
    assert_eq!(names(&phones.world.id, &published), expected);
    let push = published
        .iter()
        .find(|(_, body)| body["event"] == "push.call");
    let data = &push.unwrap().1["data"];
    assert_eq!(data["userId"], phones.callee().as_str());
    assert_eq!(data["callerName"], "Pat");
}

#[tokio::test]
async fn a_call_to_somebody_with_a_device_is_not_pushed() {
    let broker = Server::start_with_jetstream().unwrap();
    let phones = Phones::new().await;
    phones.back(phones.callee(), 2, None).await;
    let _readers = (
        read_log(&phones.state, "reader", Arc::new(phones.recorder())),
        read_presence(&phones.state, "reader", Arc::new(phones.announcer())),
        read_out(&phones.state, publisher(&broker).await),
    );

    phones.ring().await;
    phones.accept(2).await.unwrap();
    phones.end(phones.caller_party()).await.unwrap();
    calls_subject::drained(&phones.namespace).await;
    drained(&phones.namespace, "presence").await;
    drained(&phones.namespace, "out").await;

    let published = published(&broker).await;
    let expected = ["call.ended", "call.ringing", "presence.changed"];
    assert_eq!(names(&phones.world.id, &published), expected);
}

#[tokio::test]
async fn what_is_queued_while_jetstream_is_away_is_there_afterwards_and_once() {
    let mut broker = Server::start_with_jetstream().unwrap();
    let namespace = Namespace::new().unwrap();
    let state = another(&namespace);
    let out = publisher(&broker).await;
    out.prepare().await;
    let event = OutEvent::call_ringing(&app(), &ringing(service_kit::now()));
    broker.stop();
    let again = [event.clone(), event.clone()];
    state.put(&again).await.unwrap();
    assert!(out.take(&again).await.is_err());

    let _reader = read_out(&state, out);
    broker.resume().unwrap();
    drained(&namespace, "out").await;

    assert_eq!(published(&broker).await.len(), 1);
}

#[tokio::test]
async fn without_jetstream_events_wait_for_an_hour_and_nothing_else_does() {
    let broker = Server::start().unwrap();
    let phones = Phones::new().await;
    let mut caller = phones.listen(phones.caller()).await;
    let out = publisher(&broker).await;
    let _readers = (
        read_log(&phones.state, "reader", Arc::new(phones.recorder())),
        read_out(&phones.state, out.clone()),
    );

    phones.ring().await;
    // A caller hears nothing of a call that is over before anybody was told that it rings.
    caller.notice().await;
    phones.end(phones.caller_party()).await.unwrap();
    calls_subject::drained(&phones.namespace).await;

    let now = service_kit::now();
    let fresh = OutEvent::call_ringing(&app(), &ringing(now));
    let stale = OutEvent::call_ringing(&app(), &ringing(Timestamp(now.0 - 3_700_000)));
    assert!(out.take(&[stale.clone(), fresh]).await.is_err());
    assert!(out.take(&[stale]).await.is_ok());
}

/// A call that rings since `at`.
fn ringing(at: Timestamp) -> chat_domain::call::Call {
    let (mut board, mut log) = (Switchboard::default(), Vec::new());
    let rules = CallRules {
        ring: Duration::from_secs(45),
        grace: Duration::from_secs(10),
    };
    board
        .initiate(&request(1, 0, 0, 1), rules, at, &mut log)
        .unwrap();
    log.remove(0).call
}

/// A message in its conversation.
fn said(at: Timestamp) -> (Conversation, Message) {
    let id = ConversationId(Uuid::from_u128(7));
    let [consultant, patient] = ["c", "p"].map(|id| UserId::new(id).unwrap());
    let conversation = Conversation {
        id,
        app: app(),
        subject: Subject::Booking(SubjectId::new("b").unwrap()),
        participants: [
            Participant::new(consultant, Role::Consultant),
            Participant::new(patient.clone(), Role::Patient),
        ],
        last_seq: Seq(3),
        created_at: at,
        updated_at: at,
    };
    let message = Message {
        id: MessageId::new(id, at.0.unsigned_abs(), 1),
        conversation: id,
        seq: Seq(3),
        sender: patient,
        sender_role: Role::Patient,
        client_key: None,
        content: Content::stored(MessageKind::Text, "a secret".to_owned(), None),
        created_at: at,
        delivered_at: None,
        read_at: None,
    };
    (conversation, message)
}

#[test]
fn events_for_other_services_are_frozen() {
    let at = Timestamp(1_768_401_000_042);
    let rings = ringing(at);
    assert_eq!(rings.kind, CallKind::Video);
    assert_eq!(rings.conversation, ConversationId(Uuid::from_u128(7)));
    let (mut board, mut log) = (Switchboard::default(), Vec::new());
    let rules = CallRules {
        ring: Duration::from_secs(45),
        grace: Duration::from_secs(10),
    };
    let later = |seconds| at.after(Duration::from_secs(seconds));
    board
        .initiate(&request(1, 0, 0, 1), rules, at, &mut log)
        .unwrap();
    board.accept(&party(1, 1, 0), later(5), &mut log).unwrap();
    board.hang_up(&party(1, 1, 0), later(65), &mut log).unwrap();
    let ended = log.pop().unwrap().call;
    let change = PresenceChange {
        was: Presence::Offline,
        now: Presence::Online(Status::Away),
        at,
    };

    let app = app();
    let reader = UserId::new("42").unwrap();
    let (conversation, message) = said(at);
    let received = Received {
        ids: vec![message.id],
        at,
    };
    let pair = Conversation {
        subject: Subject::Pair,
        ..conversation.clone()
    };
    let push = NewMessages {
        user: &reader,
        newest: &message,
        sender_name: Some("Pat"),
        n_messages: 3,
    };
    let events = [
        OutEvent::call_ringing(&app, &rings),
        OutEvent::call_over(&app, &ended, Outcome::Ended),
        OutEvent::presence_changed(&app, &UserId::new("42").unwrap(), &change),
        OutEvent::push_call(&app, &rings, Some("Pat")),
        OutEvent::push_call_cancelled(&app, &rings, Outcome::NoAnswer),
        OutEvent::conversation_created(&conversation),
        OutEvent::conversation_created(&pair),
        OutEvent::message_created(&app, &[(&conversation, &message)]).unwrap(),
        OutEvent::message_read(&app, conversation.id, &reader, &received).unwrap(),
        OutEvent::push_message(&app, &push),
    ];
    let read = |event: &OutEvent| -> Value {
        let body: Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!(body["id"], event.id);
        assert_eq!(body["event"], event.name);
        body
    };
    let bodies: Vec<Value> = events.iter().map(read).collect();
    assert!(!json!(bodies).to_string().contains("secret"));
    insta::assert_json_snapshot!("out", json!(bodies));
}
