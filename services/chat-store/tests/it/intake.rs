//! What other services write into a JetStream of the test's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream;
use chat_domain::{AppId, ChatError, Revoked, Role, Timestamp, UserId};
use chat_proto::{
    subject::{self, IN_DEAD, IN_DEAD_STREAM, IN_STREAM, STORE_QUEUE},
    v1::{self, envelope::Body},
};
use chat_store::{
    ports::{Answer, Directory as _},
    ports_in::{Notification, UserNotifier},
};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::json;
use test_kit::eventually;
use uuid::Uuid;

use crate::desk::{Desk, booking, message};

#[tokio::test]
async fn other_services_revoke_tokens() {
    let desk = Desk::new().await;
    let _reading = desk.read().await;
    let user = Uuid::new_v4().to_string();

    let token = v1::InRevocation {
        token_id: Some("t".to_owned()),
        ..v1::InRevocation::default()
    };
    desk.write("revocation", &[], token.encode_to_vec()).await;
    desk.drained().await;
    let ends = "2099-01-01T00:00:00Z";
    desk.json("revocation", &json!({"userId": user, "expiresAt": ends}))
        .await;
    for bad in [
        json!({}),
        json!({"userId": user, "tokenId": "t"}),
        json!({"userId": "no-uuid"}),
        json!({"tokenId": "t", "expiresAt": "soon"}),
    ] {
        desk.json("revocation", &bad).await;
    }
    desk.drained().await;

    let page = desk.store.revocations(0).await.unwrap();
    let revoked = page.revocations.iter().map(|(_, it)| &it.revoked);
    assert!(matches!(
        revoked.collect::<Vec<_>>()[..],
        [Revoked::Token(_), Revoked::User { .. }]
    ));
    assert_eq!(desk.count(IN_DEAD_STREAM).await, 4);
}

#[tokio::test]
async fn everything_is_taken_in_protobuf_and_in_json() {
    let desk = Desk::new().await;
    let pair = desk.strangers();
    let _reading = desk.read().await;
    let user = v1::InUser {
        id: pair.patient.user.id.as_str().to_uppercase(),
        role: "patient".to_owned(),
        name: Some("Pat".to_owned()),
        ..v1::InUser::default()
    };

    desk.write("user", &[], user.encode_to_vec()).await;
    let consultant = pair.consultant.user.id.as_str();
    desk.json(
        "user",
        &json!({"id": consultant, "role": "consultant", "name": "Ada"}),
    )
    .await;
    let mut planned = booking(&pair);
    planned["startsAt"] = json!("2026-01-14T15:30:00.042+01:00");
    desk.json("booking", &planned).await;
    desk.drained().await;
    let text = v1::InMessage {
        booking_id: Some(pair.booking.as_str().to_owned()),
        content: "Moved to Monday".to_owned(),
        ..v1::InMessage::default()
    };
    desk.write("message", &[], text.encode_to_vec()).await;
    desk.drained().await;

    let id = &desk.world.id;
    for (person, name) in [(&pair.patient, "Pat"), (&pair.consultant, "Ada")] {
        let known = desk.pg.find_name(id, &person.user.id).await.unwrap();
        assert_eq!(known.as_deref(), Some(name));
    }
    let booked = desk.pg.find_booking(id, &pair.booking).await.unwrap();
    assert_eq!(
        booked.unwrap().starts_at,
        Some(Timestamp(1_768_401_000_042))
    );
    assert_eq!(desk.texts(&pair).await, ["Moved to Monday"]);
    assert_eq!(desk.count(IN_DEAD_STREAM).await, 0);
}

#[tokio::test]
async fn an_association_begins_and_ends() {
    let desk = Desk::new().await;
    let _reading = desk.read().await;
    let pair = desk.strangers();
    let (doctor, patient) = (&pair.consultant.user.id, &pair.patient.user.id);
    let association = |removed: bool, version: i64| {
        let mut told = json!({
            "doctorId": doctor.as_str(), "patientId": patient.as_str(), "version": version
        });
        if removed {
            told["removed"] = json!(true);
        }
        told
    };
    let sql = desk.world.sql().await;

    for (removed, version, is_over) in [
        (false, 1, false),
        (true, 3, true),
        (false, 2, true),
        (false, 4, false),
    ] {
        desk.json("association", &association(removed, version))
            .await;
        desk.drained().await;

        let row: (bool,) = sqlx::query_as("SELECT removed_at IS NOT NULL FROM associations")
            .fetch_one(&sql)
            .await
            .unwrap();
        assert_eq!(row.0, is_over, "version {version}");
    }
}

#[tokio::test]
async fn the_greatest_version_wins_however_they_come() {
    let desk = Desk::new().await;
    let _reading = desk.read().await;
    let user = desk.world.caller(Role::Patient).user.id;
    let named = |name: &str, version: i64| json!({"id": user.as_str(), "role": "patient", "name": name, "version": version});

    for (name, version) in [("second", 2), ("third", 3), ("first", 1)] {
        desk.json("user", &named(name, version)).await;
        desk.drained().await;
    }

    let name = desk.pg.find_name(&desk.world.id, &user).await.unwrap();
    assert_eq!(name.as_deref(), Some("third"));
}

#[tokio::test]
async fn what_makes_no_sense_is_kept_with_its_reason_and_the_rest_goes_on() {
    let desk = Desk::new().await;
    let _reading = desk.read().await;
    let user = desk.world.caller(Role::Patient).user.id;
    let id = user.as_str();
    let json = [
        ("Content-Type", "application/json"),
        ("Nats-Msg-Id", "mine"),
    ];
    let bad = [
        ("user", r#"{"id": "42", "role": "patient"}"#),
        ("user", r#"{"role": "patient"}"#),
        ("user", "{"),
        ("booking", "[]"),
        ("unheard", "{}"),
        ("message", r#"{"content": "nowhere"}"#),
    ];
    let wrong_role = format!(r#"{{"id": "{id}", "role": "doctor"}}"#);
    let taken = format!(r#"{{"userId": "{id}", "event": "new_message", "data": 1}}"#);

    for (kind, body) in bad {
        desk.write(kind, &json[..1], body).await;
    }
    desk.write("user", &json, wrong_role.as_str()).await;
    desk.write("notify", &json[..1], taken.as_str()).await;
    desk.write("user", &[], [0xff; 9]).await;
    desk.write_to("chat.v1.in.nowhere.user", &[], Vec::new())
        .await;
    desk.json("user", &json!({"id": id, "role": "patient", "name": "Pat"}))
        .await;
    desk.drained().await;

    let name = desk.pg.find_name(&desk.world.id, &user).await.unwrap();
    assert_eq!(name.as_deref(), Some("Pat"));
    assert_eq!(desk.count(IN_DEAD_STREAM).await, 10);
    let dead = desk.context.get_stream(IN_DEAD_STREAM).await.unwrap();
    let letter = dead
        .create_consumer(jetstream::consumer::pull::Config::default())
        .await
        .unwrap()
        .messages()
        .await
        .unwrap()
        .filter(|letter| {
            let of_role = letter.as_ref().unwrap().payload == wrong_role;
            std::future::ready(of_role)
        })
        .boxed()
        .next()
        .await;
    let letter = letter.unwrap().unwrap();
    let header = |name: &str| letter.headers.as_ref().unwrap().get(name).unwrap().as_str();
    assert_eq!(letter.subject.as_str(), IN_DEAD);
    assert_eq!(header("Chat-Reason"), "unknown role");
    assert_eq!(
        header("Chat-Subject"),
        format!("chat.v1.in.{}.user", desk.world.id)
    );
    assert_eq!(header("Chat-Msg-Id"), "mine");
    assert_eq!(header("Content-Type"), "application/json");
}

#[tokio::test]
async fn a_message_waits_for_its_booking() {
    let desk = Desk::new().await;
    let pair = desk.strangers();
    let _reading = desk.read().await;

    desk.json("message", &message(&pair, "Moved to Monday"))
        .await;
    desk.tried(2).await;
    desk.json("booking", &booking(&pair)).await;
    desk.drained().await;

    assert_eq!(desk.texts(&pair).await, ["Moved to Monday"]);
}

#[tokio::test]
async fn a_message_that_is_written_twice_is_there_once() {
    let desk = Desk::new().await;
    let pair = desk.strangers();
    let _reading = desk.read().await;
    desk.json("booking", &booking(&pair)).await;
    desk.drained().await;
    let mut keyed = message(&pair, "with a key");
    keyed["idempotencyKey"] = json!("k");
    let headers = [("Content-Type", "application/json"), ("Nats-Msg-Id", "i")];

    for _ in 0..2 {
        desk.json("message", &keyed).await;
        desk.drained().await;
    }
    for _ in 0..2 {
        let body = message(&pair, "with an id").to_string();
        desk.write("message", &headers, body).await;
        desk.drained().await;
        // As if the window of the stream were over.
        desk.context.delete_stream(IN_STREAM).await.unwrap();
        eventually("there is a stream again", async || {
            let stream = desk.context.get_stream(IN_STREAM).await.ok()?;
            stream.consumer_info(STORE_QUEUE).await.ok()
        })
        .await;
    }

    assert_eq!(desk.texts(&pair).await, ["with an id", "with a key"]);
}

/// Cannot tell anybody, for some times.
struct Busy {
    refusals: AtomicUsize,
    told: Mutex<Vec<(UserId, String, String)>>,
}

impl UserNotifier for Busy {
    fn notify<'a>(&'a self, _: &'a AppId, notification: &'a Notification) -> Answer<'a, ()> {
        let refused = self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        Box::pin(async move {
            if refused.is_ok() {
                return Err(ChatError::Unavailable {
                    dependency: "a dependency",
                    source: "a test".into(),
                });
            }
            let (user, event, data) = (
                notification.user(),
                notification.event(),
                notification.data(),
            );
            self.told
                .lock()
                .push((user.clone(), event.to_owned(), data.to_owned()));
            Ok(())
        })
    }
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_taken_later_and_nothing_waits_for_it() {
    let desk = Desk::new().await;
    let busy = Arc::new(Busy {
        refusals: AtomicUsize::new(2),
        told: Mutex::default(),
    });
    let reading = desk.read_with(busy.clone()).await;
    let user = desk.world.caller(Role::Patient).user.id;

    desk.json(
        "notify",
        &json!({"userId": user.as_str(), "event": "moved", "data": {"to": 1}}),
    )
    .await;
    desk.tried(2).await;
    desk.json(
        "user",
        &json!({"id": user.as_str(), "role": "patient", "name": "Pat"}),
    )
    .await;
    desk.drained().await;
    reading.end().await;

    let expected = (user.clone(), "moved".to_owned(), r#"{"to":1}"#.to_owned());
    assert_eq!(*busy.told.lock(), [expected]);
    let name = desk.pg.find_name(&desk.world.id, &user).await.unwrap();
    assert_eq!(name.as_deref(), Some("Pat"));
    assert_eq!(desk.count(IN_DEAD_STREAM).await, 0);
}

#[tokio::test]
async fn an_event_goes_to_the_sockets_of_its_user() {
    let desk = Desk::new().await;
    let _reading = desk.read().await;
    let user = desk.world.caller(Role::Patient).user.id;
    let subject = subject::user(&desk.world.id, &user);
    let mut sockets = desk.client.subscribe(subject).await.unwrap();

    let event = v1::InNotify {
        user_id: user.as_str().to_owned(),
        event: "booking:moved".to_owned(),
        data: r#"{ "to": "Monday" }"#.to_owned(),
    };
    desk.write("notify", &[], event.encode_to_vec()).await;

    let heard = tokio::time::timeout(Duration::from_secs(20), sockets.next()).await;
    let envelope = v1::Envelope::decode(heard.unwrap().unwrap().payload).unwrap();
    assert_eq!(envelope.targets, [user.as_str()]);
    let expected = v1::Notify {
        event: "booking:moved".to_owned(),
        data: r#"{"to":"Monday"}"#.to_owned(),
    };
    assert_eq!(envelope.body, Some(Body::Notify(expected)));
}

#[tokio::test]
async fn a_store_that_ends_leaves_the_stream_to_the_next() {
    let desk = Desk::new().await;
    let user = desk.world.caller(Role::Patient).user.id;
    desk.read().await.end().await;

    desk.json(
        "user",
        &json!({"id": user.as_str(), "role": "patient", "name": "Pat"}),
    )
    .await;
    assert_eq!(desk.count(IN_STREAM).await, 1);
    let _next = desk.read().await;
    desk.drained().await;

    let name = desk.pg.find_name(&desk.world.id, &user).await.unwrap();
    assert_eq!(name.as_deref(), Some("Pat"));
}
