//! Why a message did not arrive: gateways' notes in a JetStream of the test's own, asked for over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use async_nats::Client;
use axum::Router;
use chat_domain::{
    AppId, ConversationId, UserId,
    call::{DeviceId, GatewayId},
};
use chat_proto::{
    WireId as _, subject,
    v1::{self, NoteKind, NoteWay},
};
use chat_store::{
    app::{Custodian, Member},
    http as rest,
    nats::JournalStream,
};
use futures_util::StreamExt as _;
use prost::Message as _;
use serde_json::{Value, json};
use test_kit::nats::Server;

use crate::{
    http_site::{Answer, Ask, CONSULTANT, NOTHING, PATIENT, SERVICE_TOKEN, STRANGER, Site},
    presence_out::connect,
};

const GATEWAY: u64 = 0xa1;

/// A store whose notes are in a broker of the test's own, and the door to it.
struct Desk {
    site: Site,
    door: Router,
    client: Client,
    _broker: Server,
}

impl Desk {
    async fn new() -> Self {
        Self::on(Site::start().await).await
    }

    async fn on(site: Site) -> Self {
        let broker = Server::start_with_jetstream().unwrap();
        let client = connect(&broker).await;
        let journal = JournalStream::new(client.clone(), 1 << 20);
        journal.prepare().await.unwrap();
        let pg = Arc::new(site.pg.clone());
        let custodian = Custodian::new(site.app.clone(), pg.clone(), pg, Arc::new(journal));
        let door = rest::internal_router(custodian, &SERVICE_TOKEN.parse().unwrap());
        Self {
            site,
            door,
            client,
            _broker: broker,
        }
    }

    /// Has the patient say something of which gateways were told.
    async fn told(&self, text: &str) -> Value {
        let message = self.site.say("patient", text).await;
        let sql = self.site.sql().await;
        sqlx::query("DELETE FROM outbox")
            .execute(&sql)
            .await
            .unwrap();
        message
    }

    /// Has the gateway note something of the consultant.
    async fn note(&self, number: u64, notes: Vec<v1::Note>) {
        let notes = v1::Notes {
            replica: GATEWAY,
            number,
            users: vec![v1::NotesOfUser {
                app: "jiggy".to_owned(),
                user_id: CONSULTANT.to_owned(),
                notes,
            }],
        };
        let payload = notes.encode_to_vec().into();
        let subject = subject::journal(&app(), &consultant());
        self.client.publish(subject, payload).await.unwrap();
        self.client.flush().await.unwrap();
    }

    async fn ask(&self, message: &Value, user: &str) -> Answer {
        let id = message["id"].as_str().unwrap();
        self.get(&format!("jiggy/messages/{id}/journey?user={user}"))
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        Ask::new("GET", &format!("/internal/v1/apps/{path}"))
            .header("authorization", &format!("Bearer {SERVICE_TOKEN}"))
            .header("chat-actor", "olga the officer")
            .of(&self.door)
            .await
    }
}

fn app() -> AppId {
    AppId::new("jiggy").unwrap()
}

fn consultant() -> UserId {
    UserId::new(CONSULTANT).unwrap()
}

/// A note of the consultant's only socket.
fn note(kind: NoteKind, message: &Value, at_ms: i64) -> v1::Note {
    let id = message["conversationId"].as_str().unwrap();
    v1::Note {
        kind: kind.into(),
        at_ms,
        socket: 0x20001,
        conversation_id: ConversationId::parse(id).unwrap().to_wire(),
        seq: message["seq"].as_u64().unwrap(),
        ..v1::Note::default()
    }
}

fn of_socket(note: v1::Note) -> v1::Note {
    v1::Note {
        socket_id: "AAAAAAAAAAAAAAAAAAAA".to_owned(),
        began_ms: note.at_ms - 60_000,
        ..note
    }
}

fn code(answer: &Answer) -> &Value {
    &answer.body["verdict"]["code"]
}

#[tokio::test]
async fn what_gateways_noted_is_told_hop_by_hop_and_who_asked_is_logged() {
    let desk = Desk::new().await;
    let message = desk.told("it hurts").await;
    let now = service_kit::now().0;
    let came = of_socket(note(NoteKind::Came, &message, now));
    let mut written = note(NoteKind::Written, &message, now + 60);
    written.set_way(NoteWay::Repair);
    desk.note(1, vec![came, written]).await;

    let answer = desk.ask(&message, CONSULTANT).await;

    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.body["verdict"]["code"], "delivered_after_loss");
    assert_eq!(answer.body["verdict"]["hop"], "nats");
    assert_eq!(answer.body["journalIsComplete"], true);
    let device = &answer.body["devices"][0];
    assert_eq!(device["state"], "written");
    assert_eq!(device["socketId"], "AAAAAAAAAAAAAAAAAAAA");
    assert_eq!(device["connections"][0]["device"], "a1-20001");
    let hops = answer.body["hops"].as_array().unwrap().iter();
    let hops: Vec<_> = hops
        .map(|hop| [&hop["hop"], &hop["what"], &hop["detail"]].map(Value::clone))
        .collect();
    assert_eq!(
        hops,
        [
            [json!("store"), json!("stored"), json!(null)],
            [json!("socket"), json!("connected"), json!(null)],
            [json!("socket"), json!("written"), json!("repair")],
        ]
    );
    assert!(!answer.body.to_string().contains("it hurts"));
    assert_eq!(desk.site.n_logged("trace").await, 1);
}

#[tokio::test]
async fn gateways_are_asked_where_sockets_stand() {
    let desk = Desk::new().await;
    let message = desk.told("lost").await;
    let mut heard = desk
        .client
        .subscribe(subject::user(&app(), &consultant()))
        .await
        .unwrap();
    desk.client.flush().await.unwrap();
    let answering = async {
        let asked = heard.next().await.unwrap();
        let asked = v1::Envelope::decode(asked.payload).unwrap();
        let stands = of_socket(note(NoteKind::Stands, &message, service_kit::now().0));
        let before = message["seq"].as_u64().unwrap() - 1;
        desk.note(
            1,
            vec![v1::Note {
                seq: before,
                ..stands
            }],
        )
        .await;
        asked.body
    };

    let (answer, asked) = tokio::join!(desk.ask(&message, CONSULTANT), answering);

    assert_eq!(code(&answer), "event_missing", "{answer:?}");
    let Some(v1::envelope::Body::Locate(locate)) = asked else {
        panic!("asked {asked:?}");
    };
    let id = message["conversationId"].as_str().unwrap();
    assert_eq!(
        locate.conversation_id,
        ConversationId::parse(id).unwrap().to_wire()
    );
}

#[tokio::test]
async fn what_the_database_knows_needs_no_notes() {
    let desk = Desk::new().await;
    let waits = desk.site.say("patient", "waits").await;

    assert_eq!(
        code(&desk.ask(&waits, CONSULTANT).await),
        "not_published_yet"
    );
    let told = desk.told("told").await;
    assert_eq!(code(&desk.ask(&told, STRANGER).await), "not_a_participant");
    let nobody = desk.ask(&told, CONSULTANT).await;
    assert_eq!(code(&nobody), "no_device_connected", "{nobody:?}");
    let id = told["conversationId"].as_str().unwrap();
    desk.site
        .get("consultant", &format!("conversations/{id}/messages"))
        .await;
    assert_eq!(code(&desk.ask(&told, CONSULTANT).await), "fetched");
    let revocation = json!({ "userId": CONSULTANT });
    let later = desk.told("later").await;
    desk.site.tell("POST", "revocations", &revocation).await;
    assert_eq!(code(&desk.ask(&later, CONSULTANT).await), "revoked");
}

#[tokio::test]
async fn what_has_expired_is_not_looked_for_further() {
    let site = Site::with_policy("{ retention_days = 1 }").await;
    let desk = Desk::on(site).await;
    let message = desk.told("old").await;
    let sql = desk.site.sql().await;
    let id = uuid::Uuid::parse_str(message["id"].as_str().unwrap()).unwrap();
    let then = service_kit::now().before(std::time::Duration::from_hours(49));
    // Its id tells its time, too.
    let then_ms = u64::try_from(then.0).unwrap();
    let bits = (id.as_u128() & ((1 << 80) - 1)) | (u128::from(then_ms) << 80);
    let old = uuid::Uuid::from_u128(bits);
    sqlx::query("UPDATE messages SET message_id = $1, created_at = $2 WHERE message_id = $3")
        .bind(old)
        .bind(then.to_datetime())
        .bind(id)
        .execute(&sql)
        .await
        .unwrap();

    let answer = desk
        .ask(&json!({ "id": old.to_string() }), CONSULTANT)
        .await;

    assert_eq!(code(&answer), "expired", "{answer:?}");
}

#[tokio::test]
async fn notes_that_are_missing_are_not_taken_for_silence() {
    let desk = Desk::new().await;
    let message = desk.told("x").await;
    let before = service_kit::now().0 - 5_000;
    for number in [1, 3] {
        let went = of_socket(note(NoteKind::Went, &message, before));
        desk.note(number, vec![went]).await;
    }

    let answer = desk.ask(&message, CONSULTANT).await;

    assert_eq!(code(&answer), "journal_incomplete", "{answer:?}");
    assert_eq!(answer.body["journalIsComplete"], false);
}

#[tokio::test]
async fn where_a_device_stood_before_is_not_where_it_stands() {
    let desk = Desk::new().await;
    let first = desk.told("it has this").await;
    let now = service_kit::now().0;
    let stands = of_socket(note(NoteKind::Stands, &first, now));
    desk.note(1, vec![stands]).await;
    let second = desk.told("its gateway was killed").await;

    let had = desk.ask(&first, CONSULTANT).await;
    let unknown = desk.ask(&second, CONSULTANT).await;

    assert_eq!(code(&had), "written_not_acknowledged", "{had:?}");
    assert_eq!(code(&unknown), "journal_incomplete", "{unknown:?}");
    assert_eq!(unknown.body["devices"][0]["state"], "silent");
}

#[tokio::test]
async fn who_connected_and_was_noted_by_nobody_was_there() {
    let desk = Desk::new().await;
    let message = desk.told("its gateway was killed").await;
    let signed_in = async |socket| {
        let member = Member {
            app: &app(),
            user: &consultant(),
            device: Some(DeviceId {
                gateway: GatewayId(GATEWAY),
                socket,
            }),
        };
        desk.site.app.signed_in(member).await.unwrap();
    };

    signed_in(0x20001).await;
    let unknown = desk.ask(&message, CONSULTANT).await;
    let before = service_kit::now().0 - 5_000;
    let went = of_socket(note(NoteKind::Went, &message, before));
    desk.note(1, vec![went]).await;
    let known = desk.ask(&message, CONSULTANT).await;

    assert_eq!(code(&unknown), "journal_incomplete", "{unknown:?}");
    assert_eq!(unknown.body["journalIsComplete"], false);
    assert_eq!(code(&known), "no_device_connected", "{known:?}");
}

#[tokio::test]
async fn without_jetstream_the_database_answers_alone() {
    let desk = Desk::new().await;
    let message = desk.told("x").await;
    let id = message["id"].as_str().unwrap();
    let path = format!("/internal/v1/apps/jiggy/messages/{id}/journey?user={CONSULTANT}");

    let answer = Ask::new("GET", &path)
        .header("authorization", &format!("Bearer {SERVICE_TOKEN}"))
        .header("chat-actor", "olga the officer")
        .of(&desk.site.internal)
        .await;

    assert_eq!(code(&answer), "journal_incomplete", "{answer:?}");
}

#[tokio::test]
async fn a_device_can_be_asked_about_alone() {
    let desk = Desk::new().await;
    let message = desk.told("x").await;
    let now = service_kit::now().0;
    let mut others = of_socket(note(NoteKind::Went, &message, now + 1));
    "BBBBBBBBBBBBBBBBBBBB".clone_into(&mut others.socket_id);
    others.socket = 0x30001;
    "ping_timeout".clone_into(&mut others.reason);
    let came = of_socket(note(NoteKind::Came, &message, now - 10));
    let written = note(NoteKind::Written, &message, now);
    desk.note(1, vec![came, written, others]).await;
    let id = message["id"].as_str().unwrap();

    let all = desk.ask(&message, CONSULTANT).await;
    let path = format!("jiggy/messages/{id}/journey?user={CONSULTANT}&device=AAAAAAAAAAAAAAAAAAAA");
    let one = desk.get(&path).await;

    assert_eq!(code(&all), "closed_before_written", "{all:?}");
    assert_eq!(code(&one), "written_not_acknowledged", "{one:?}");
    assert_eq!(one.body["devices"].as_array().unwrap().len(), 1);
    assert!(!one.body.to_string().contains("30001"), "{one:?}");
}

#[tokio::test]
async fn what_is_not_there_or_not_the_apps_is_not_found() {
    let desk = Desk::new().await;
    let message = desk.told("x").await;
    let id = message["id"].as_str().unwrap();

    for (path, status) in [
        (
            format!("jiggy/messages/{NOTHING}/journey?user={PATIENT}"),
            404,
        ),
        (format!("other/messages/{id}/journey?user={PATIENT}"), 404),
        (format!("nowhere/messages/{id}/journey?user={PATIENT}"), 404),
        (format!("jiggy/messages/{id}/journey"), 400),
        (format!("jiggy/messages/x/journey?user={PATIENT}"), 400),
        (format!("jiggy/messages/{id}/journey?user="), 400),
    ] {
        let answer = desk.get(&path).await;

        assert_eq!(answer.status.as_u16(), status, "{path} {answer:?}");
    }
    let path = format!("messages/{id}/journey?user={PATIENT}");
    let unnamed = desk.site.tell("GET", &path, &json!({})).await;
    assert_eq!(unnamed.status.as_u16(), 400, "without a name");
    assert_eq!(desk.site.n_logged("trace").await, 0);
}
