//! Who did what is in the log before it is answered, and what was done to the log shows.

use std::sync::Arc;

use chat_domain::{
    AppId, ConversationId, Direction, PageRequest, Role, Seq, call::DeviceId, call::GatewayId,
};
use chat_proto::{WireId as _, subject::Rpc, v1};
use chat_store::{
    app::{App, Finding, Member, verify_audit},
    pg::Pg,
    ports_audit::{Access, Action, AuditLog as _, Head, Link},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::{
    http_site::{Ask, BOOKING, CONSULTANT, PATIENT, Site},
    rpc::Asked,
    world::{Ear, World, new, send, send_many, send_to},
};

fn page() -> PageRequest {
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
async fn rows_of_six_years_ago_may_be_dropped_and_the_rest_is_verified() {
    let world = World::new().await;
    let pg = world.pg_of(1).await;
    let sql = world.sql().await;
    let end = ten(&world, &pg).await;
    let other = AppId::new("another").unwrap();
    let theirs = [Access::new(&other, "user", Action::Read)];
    pg.record(&theirs).await.unwrap();
    let drop_to = |place: u64| {
        let app = &world.id;
        sqlx::query_scalar::<_, String>("SELECT drop_accesses($1, $2)")
            .bind(app.to_string())
            .bind(i64::try_from(place).unwrap())
            .fetch_one(&sql)
    };
    assert!(drop_to(4).await.is_err(), "they are young");
    // As if they were written then: hashed anew, from row to row.
    execute(&sql, WRITTEN_SEVEN_YEARS_AGO).await;
    let app = &world.id;
    assert!(drop_to(10).await.is_err(), "some are young");

    let dropped = drop_to(4).await.unwrap().parse::<Head>().unwrap();

    let rest = verify_audit(&pg, app, &[], Some(dropped.link))
        .await
        .unwrap();
    assert_eq!((rest.findings, rest.n_rows), (vec![], 7), "one says so");
    let unaware = verify_audit(&pg, app, &[], None).await.unwrap();
    assert_eq!(unaware.findings, [Finding::Missing(1, 4)]);
    let wrong = Some(Link {
        hash: end.hash,
        ..dropped.link
    });
    let forged = verify_audit(&pg, app, &[], wrong).await.unwrap();
    assert_eq!(forged.findings, [Finding::Altered(5)]);
    execute(&sql, "DELETE FROM audit_log WHERE place = 5").await;
    let cut = verify_audit(&pg, app, &[], Some(dropped.link))
        .await
        .unwrap();
    assert_eq!(cut.findings, [Finding::Missing(5, 5)]);
    let said = pg.list_recorded(app, 10, 10).await.unwrap().remove(0);
    assert_eq!(said.detail, Some(format!("rows=4 head={dropped}")));
    let of_others = verify_audit(&pg, &other, &[], None).await.unwrap();
    assert_eq!((of_others.findings, of_others.n_rows), (vec![], 1));
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
async fn writers_of_many_replicas_make_one_chain() {
    let world = World::new().await;
    let stores = [
        world.store(Ear::deaf()).await,
        world.store(Ear::deaf()).await,
    ];
    let (pair, id) = world.talk(&stores[0]).await;
    send_many(&stores[0], &pair.patient, id, 3).await;

    let reads = (0..200).map(|n| stores[n % 2].page(&pair.patient, id, page()));
    for read in futures_util::future::join_all(reads).await {
        read.unwrap();
    }

    // Replicas by the dozen, of which each has one transaction under way.
    let pg = world.pg_of(12).await;
    let access = [Access::new(&world.id, "user", Action::Read)];
    let writes = (0..200).map(|_| pg.record(&access));
    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }

    let chain = verify_audit(&pg, &world.id, &[], None).await.unwrap();
    assert_eq!((chain.n_rows, chain.end.place), (400, 400));
    assert_eq!(chain.findings, []);
}

/// A chain of ten rows, and its end.
const WRITTEN_SEVEN_YEARS_AGO: &str = "
DO $$
DECLARE
    r      record;
    v_at   timestamptz;
    v_hash bytea;
BEGIN
    SELECT sha256(convert_to(app_id, 'UTF8')) INTO v_hash FROM audit_heads WHERE place = 10;
    FOR r IN SELECT * FROM audit_log WHERE app_id <> 'another' ORDER BY place LOOP
        v_at := r.at - CASE WHEN r.place <= 5 THEN interval '7 years' ELSE interval '0' END;
        v_hash := sha256(v_hash || convert_to(
            audit_field(r.app_id) || audit_field(r.place::text)
            || audit_field((extract(epoch FROM v_at) * 1000000)::bigint::text)
            || audit_field(r.actor) || audit_field(r.action) || audit_field(r.outcome)
            || '-----' || '-', 'UTF8'));
        UPDATE audit_log SET at = v_at, hash = v_hash WHERE app_id = r.app_id AND place = r.place;
    END LOOP;
    UPDATE audit_heads SET hash = v_hash WHERE place = 10;
END $$";

async fn ten(world: &World, pg: &Pg) -> Link {
    let rows: Vec<_> = (1..=10)
        .map(|n| Access::new(&world.id, format!("user-{n}"), Action::Read))
        .collect();
    pg.record(&rows).await.unwrap()[9]
}

async fn execute(sql: &PgPool, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(sql)
        .await
        .unwrap();
}

#[tokio::test]
async fn whatever_is_done_to_a_row_is_found_where_it_is() {
    use Finding::{Added, Altered, Missing};
    let world = World::new().await;
    let pg = world.pg_of(1).await;
    let sql = world.sql().await;
    let id = ConversationId::parse("0199a7de-0000-7000-8000-000000000001").unwrap();
    let rows: Vec<_> = (1..=10)
        .map(|n| Access::new(&world.id, format!("user-{n}"), Action::Read).of(id, [Seq(1), Seq(2)]))
        .collect();
    pg.record(&rows).await.unwrap();
    let columns = "app_id, place, at, actor, action, outcome, device, subject, conversation_id, \
                   first_seq, last_seq, detail, hash";
    execute(&sql, "CREATE TABLE kept AS SELECT * FROM audit_log").await;

    for (what, expected) in [
        ("SELECT 1", vec![]),
        ("UPDATE audit_log SET actor = 'x' WHERE place = 4", vec![Altered(4)]),
        ("UPDATE audit_log SET outcome = 'refused' WHERE place = 10", vec![Altered(10)]),
        ("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE place = 1", vec![Altered(1)]),
        ("UPDATE audit_log SET device = '' WHERE place = 2", vec![Altered(2)]),
        ("UPDATE audit_log SET action = 'list' WHERE place = 3", vec![Altered(3)]),
        ("UPDATE audit_log SET subject = 'x' WHERE place = 3", vec![Altered(3)]),
        ("UPDATE audit_log SET conversation_id = gen_random_uuid() WHERE place = 3", vec![Altered(3)]),
        ("UPDATE audit_log SET first_seq = 0 WHERE place = 3", vec![Altered(3)]),
        ("UPDATE audit_log SET last_seq = 3 WHERE place = 3", vec![Altered(3)]),
        ("UPDATE audit_log SET detail = 'x' WHERE place = 3", vec![Altered(3)]),
        ("UPDATE audit_log SET hash = sha256('x') WHERE place = 6", vec![Altered(6), Altered(7)]),
        ("DELETE FROM audit_log WHERE place BETWEEN 3 AND 5", vec![Missing(3, 5)]),
        ("DELETE FROM audit_log WHERE place = 1", vec![Missing(1, 1)]),
        ("DELETE FROM audit_log WHERE place >= 9", vec![Missing(9, 10)]),
        ("DELETE FROM audit_log", vec![Missing(1, 10)]),
        (
            "UPDATE audit_log SET place = CASE place WHEN 3 THEN 108 ELSE 103 END WHERE place IN (3, 8);
             UPDATE audit_log SET place = place - 100 WHERE place > 100",
            vec![Altered(3), Altered(4), Altered(8), Altered(9)],
        ),
        (
            "UPDATE audit_log SET place = place + 100 WHERE place > 8;
             UPDATE audit_log SET place = place - 99 WHERE place > 100;
             INSERT INTO audit_log SELECT app_id, 9, at, 'x', action, outcome, device, subject,
                 conversation_id, first_seq, last_seq, detail, hash FROM audit_log WHERE place = 8",
            vec![Altered(9), Altered(10), Altered(11), Added(11)],
        ),
        (
            "INSERT INTO audit_log SELECT app_id, 11, at, actor, action, outcome, device, subject,
                 conversation_id, first_seq, last_seq, detail, hash FROM audit_log WHERE place = 10",
            vec![Altered(11), Added(11)],
        ),
    ] {
        execute(&sql, what).await;

        let chain = verify_audit(&pg, &world.id, &[], None).await.unwrap();

        assert_eq!(chain.findings, expected, "{what}");
        let restore = format!(
            "DELETE FROM audit_log; INSERT INTO audit_log ({columns}) SELECT {columns} FROM kept"
        );
        execute(&sql, &restore).await;
    }
}

#[tokio::test]
async fn a_chain_that_was_written_anew_shows_to_whoever_knew_its_end() {
    let world = World::new().await;
    let pg = world.pg_of(1).await;
    let sql = world.sql().await;
    let known = ten(&world, &pg).await;
    execute(
        &sql,
        "DELETE FROM audit_log;
         UPDATE audit_heads SET place = 0, hash = sha256(convert_to(app_id, 'UTF8'))",
    )
    .await;

    let emptied = verify_audit(&pg, &world.id, &[known], None).await.unwrap();
    let again = ten(&world, &pg).await;
    let unaware = verify_audit(&pg, &world.id, &[again], None).await.unwrap();
    let rewritten = verify_audit(&pg, &world.id, &[known], None).await.unwrap();

    assert_eq!(emptied.findings, [Finding::Missing(1, 10)]);
    assert_eq!(unaware.findings, []);
    assert_eq!(rewritten.findings, [Finding::Unknown(10)]);
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
