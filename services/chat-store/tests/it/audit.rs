//! Who did what is in the log before it is answered. What was done to the log is in `audit_chain`.

use std::sync::Arc;

use chat_domain::{
    AppId, ConversationId, Direction, PageRequest, Role, Seq, call::DeviceId, call::GatewayId,
};
use chat_proto::{WireId as _, subject::Rpc, v1};
use chat_store::{
    app::{App, Member},
    pg::Pg,
    ports_audit::{Access, Action, AuditLog as _},
};
use serde_json::{Value, json};

use crate::{
    audit_chain::execute,
    http_site::{Ask, BOOKING, CONSULTANT, PATIENT, Site},
    rpc::Asked,
    world::{Ear, World, new, send, send_many, send_to},
};

pub(crate) fn page() -> PageRequest {
    PageRequest::new(Direction::Newest { offset: 0 }, 10).unwrap()
}

/// The log of the world's app: actor, action, outcome, first and last place.
async fn logged(pg: &Pg, world: &World) -> Vec<(String, String, String, Option<(i64, i64)>)> {
    let rows = pg.list_recorded(&world.id, 0, 1_000).await.unwrap();
    rows.into_iter()
        .map(|row| {
            let seqs = row.first_seq.zip(row.last_seq);
            (row.actor, row.action, row.outcome, seqs)
        })
        .collect()
}

#[tokio::test]
async fn whoever_reads_is_in_the_log_with_what_was_read() {
    let world = World::new().await;
    let pg = Arc::new(world.pg().await);
    let store = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    send_many(&store, &pair.patient, id, 12).await;
    let of = pair.consultant.user.id.to_string();

    store.page(&pair.consultant, id, page()).await.unwrap();
    store
        .sync(&pair.consultant, &[(id, Seq(11))])
        .await
        .unwrap();
    store
        .sync(&pair.consultant, &[(id, Seq(12))])
        .await
        .unwrap();
    store.overviews(&pair.consultant, None, 10).await.unwrap();
    store.search_messages(&pair.consultant, "7").await.unwrap();

    let done = |action: &str, seqs| (of.clone(), action.to_owned(), "done".to_owned(), Some(seqs));
    assert_eq!(
        logged(&pg, &world).await,
        [
            done("read", (3, 12)),
            done("sync", (12, 12)),
            done("list", (12, 12)),
            done("search", (7, 7)),
        ]
    );
}

#[tokio::test]
async fn whoever_is_refused_is_in_the_log() {
    let world = World::new().await;
    let pg = Arc::new(world.pg().await);
    let store = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    let stranger = world.caller(Role::Consultant);

    store.page(&stranger, id, page()).await.unwrap_err();
    send(&store, &stranger, id, new("hello")).await.unwrap_err();
    let booking = pair.booking.as_str();
    send_to(&store, &stranger, booking, "hello")
        .await
        .unwrap_err();
    let named = ConversationId::parse(booking).unwrap();
    let (consultant, patient) = (pair.consultant.user.id, pair.patient.user.id);
    store
        .open_conversation(&stranger, consultant, patient, pair.booking.clone())
        .await
        .unwrap_err();

    store.unread(&stranger, id).await.unwrap_err();

    let rows = pg.list_recorded(&world.id, 0, 10).await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.action.as_str(), row.outcome.as_str(), row.conversation))
        .collect();
    assert_eq!(
        told,
        [
            ("enter", "refused", Some(id)),
            ("send", "refused", Some(id)),
            ("send", "refused", Some(named)),
            ("open", "refused", None),
            ("enter", "refused", Some(id)),
        ]
    );
    assert!(
        rows.iter()
            .all(|row| row.actor == stranger.user.id.as_str())
    );
}

#[tokio::test]
async fn a_device_that_connects_is_in_the_log() {
    let world = World::new().await;
    let pg = Arc::new(world.pg().await);
    let store = world.store(Ear::deaf()).await;
    let caller = world.caller(Role::Patient);
    let device = DeviceId {
        gateway: GatewayId(7),
        socket: 3,
    };

    let member = Member {
        device: Some(device),
        ..Member::from(&caller)
    };
    store.signed_in(member).await.unwrap();

    let row = pg.list_recorded(&world.id, 0, 10).await.unwrap().remove(0);
    assert_eq!(
        (row.action.as_str(), row.device),
        ("sign_in", Some(device.to_string()))
    );
}

#[tokio::test]
async fn what_a_device_asks_is_logged_with_it() {
    let world = World::new().await;
    let pg = Arc::new(world.pg_of(1).await);
    let store = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    send_many(&store, &pair.patient, id, 1).await;
    let asked = Asked::new(&store).await;
    let device = DeviceId {
        gateway: GatewayId(7),
        socket: 3,
    };
    let (app, conversation_id) = (world.id.as_str().to_owned(), id.to_string());
    let stranger = world.caller(Role::Patient);
    let user_id = stranger.user.id.as_str().to_owned();

    let sync = v1::SyncRequest {
        app: app.clone(),
        user_id: pair.patient.user.id.as_str().to_owned(),
        since: vec![v1::Position {
            conversation_id: conversation_id.clone(),
            seq: 0,
        }],
        device: device.to_wire(),
    };
    let _: v1::SyncReply = asked.ask(Rpc::Sync, &sync).await.unwrap();
    let enter = v1::GetConversationRequest {
        app: app.clone(),
        user_id: user_id.clone(),
        conversation_id,
        device: device.to_wire(),
    };
    let entered = asked.ask::<v1::GetConversationReply>(Rpc::GetConversation, &enter);
    entered.await.unwrap_err();
    let call = v1::InitiateCallRequest {
        app: app.clone(),
        caller_id: user_id,
        device: device.to_wire(),
        callee_id: pair.patient.user.id.as_str().to_owned(),
        conversation_id: id.to_wire(),
        kind: "video".to_owned(),
        ..v1::InitiateCallRequest::default()
    };
    let called = asked.ask::<v1::InitiateCallReply>(Rpc::InitiateCall, &call);
    called.await.unwrap_err();
    let send = v1::AppendRequest {
        app,
        sender: Some((&stranger.user).into()),
        target: id.to_string(),
        items: vec![v1::AppendItem {
            key: "1".to_owned(),
            kind: "text".to_owned(),
            text: "x".to_owned(),
            ..v1::AppendItem::default()
        }],
        origin: device.to_wire(),
        ..v1::AppendRequest::default()
    };
    let sent = asked.ask::<v1::AppendReply>(Rpc::Append, &send);
    sent.await.unwrap_err();

    let rows = pg.list_recorded(&world.id, 0, 10).await.unwrap();
    let told = rows.iter().map(|row| {
        let device = row.device.as_deref().unwrap_or_default();
        (&*row.action, &*row.outcome, device, row.conversation)
    });
    let of = device.to_string();
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("sync", "done", &*of, Some(id)),
            ("enter", "refused", &*of, Some(id)),
            ("call", "refused", &*of, Some(id)),
            ("send", "refused", &*of, Some(id)),
        ]
    );
}

#[tokio::test]
async fn what_other_services_tell_is_in_the_log_by_ids_alone() {
    let site = Site::start().await;
    let before = site.pg.list_ends().await.unwrap();
    let from = before.iter().map(|(_, link)| link.place).max().unwrap();

    let ask = |method, path: &str, body: &Value| {
        let path = format!("/internal/v1/apps/jiggy/{path}");
        let ask = Ask::new(method, &path).header("authorization", "Bearer the-service-token");
        ask.header("chat-actor", "olga").json(body)
    };
    let user = json!({"role": "patient", "name": "Pat Secret", "email": "pat@secret.org"});
    for asked in [
        ask("PUT", &format!("users/{PATIENT}"), &user),
        ask("POST", "revocations", &json!({"tokenId": "t1"})),
    ] {
        let answer = asked.of(&site.internal).await;
        assert_eq!(answer.status.as_u16(), 204, "{answer:?}");
    }
    let booking = json!({"consultantId": CONSULTANT, "patientId": PATIENT});
    let path = format!("bookings/{BOOKING}");
    site.tell("PUT", &path, &booking).await;

    let app = AppId::new("jiggy").unwrap();
    let rows = site.pg.list_recorded(&app, from, 10).await.unwrap();
    let told = rows.iter().map(|row| {
        let (subject, detail) = (row.subject.as_deref(), row.detail.as_deref());
        (&*row.actor, &*row.action, subject, detail)
    });
    let of_booking = format!("booking={BOOKING} professional={CONSULTANT}");
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("olga", "put_user", Some(PATIENT), None),
            ("olga", "revoke", None, Some("token=t1")),
            (
                "internal HTTP",
                "put_booking",
                Some(PATIENT),
                Some(&*of_booking)
            ),
        ]
    );
}

#[tokio::test]
async fn nothing_is_shown_whose_access_cannot_be_logged() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    send_many(&store, &pair.patient, id, 1).await;
    let sql = world.sql().await;
    execute(&sql, "ALTER TABLE audit_log RENAME TO elsewhere").await;

    let page = store.page(&pair.consultant, id, page()).await;
    let synced = store.sync(&pair.consultant, &[(id, Seq(0))]).await;
    let sent = send(&store, &pair.patient, id, new("still")).await;

    assert!(page.is_err() && synced.is_err());
    assert!(sent.is_ok(), "sending is its own record");
}

#[tokio::test]
async fn the_accesses_to_what_concerns_a_user_are_told_newest_first() {
    let world = World::new().await;
    let pg = world.pg_of(2).await;
    let store: App = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    let (_, other) = world.talk(&store).await;
    let patient = pair.patient.user.id.clone();
    let about = |access: Access| Access {
        subject: Some(patient.clone()),
        ..access
    };
    pg.record(&[
        Access::new(&world.id, "ada", Action::Read).of(id, [Seq(2), Seq(1)]),
        Access::new(&world.id, "ada", Action::Read).of(other, [Seq(1)]),
        about(Access::new(&world.id, "officer", Action::Hold)),
        about(Access::new(&world.id, "officer", Action::Export).of(id, [])),
    ])
    .await
    .unwrap();

    let all = pg
        .list_accesses(&world.id, &patient, u64::MAX, 10)
        .await
        .unwrap();
    let older = pg.list_accesses(&world.id, &patient, 4, 1).await.unwrap();

    let places: Vec<_> = all.iter().map(|row| row.place).collect();
    assert_eq!(places, [4, 3, 1]);
    assert_eq!(older[0].place, 3);
}
