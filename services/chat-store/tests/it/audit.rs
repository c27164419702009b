//! Who did what is in the log before it is answered, and what was done to the log shows.

use std::sync::Arc;

use chat_domain::{
    ConversationId, Direction, PageRequest, Role, Seq, call::DeviceId, call::GatewayId,
};
use chat_store::{
    app::{App, Finding, Member, verify_audit},
    pg::Pg,
    ports_audit::{Access, Action, AuditLog as _, Link},
};
use sqlx::{AssertSqlSafe, PgPool};

use crate::world::{Ear, World, new, send, send_many, send_to};

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

    store
        .signed_in(Member::from(&caller), device)
        .await
        .unwrap();

    let row = pg.list_recorded(&world.id, 0, 10).await.unwrap().remove(0);
    assert_eq!(
        (row.action.as_str(), row.device),
        ("sign_in", Some(device.to_string()))
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

    let chain = verify_audit(&world.pg_of(1).await, &world.id, &[])
        .await
        .unwrap();
    assert_eq!((chain.n_rows, chain.end.place), (200, 200));
    assert_eq!(chain.findings, []);
}

/// A chain of ten rows, and its end.
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
    ten(&world, &pg).await;
    let columns = "app_id, place, at, actor, action, outcome, device, subject, conversation_id, \
                   first_seq, last_seq, detail, hash";
    execute(&sql, "CREATE TABLE kept AS SELECT * FROM audit_log").await;

    for (what, expected) in [
        ("SELECT 1", vec![]),
        ("UPDATE audit_log SET actor = 'x' WHERE place = 4", vec![Altered(4)]),
        ("UPDATE audit_log SET outcome = 'refused' WHERE place = 10", vec![Altered(10)]),
        ("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE place = 1", vec![Altered(1)]),
        ("UPDATE audit_log SET device = '' WHERE place = 2", vec![Altered(2)]),
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

        let chain = verify_audit(&pg, &world.id, &[]).await.unwrap();

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

    let emptied = verify_audit(&pg, &world.id, &[known]).await.unwrap();
    let again = ten(&world, &pg).await;
    let unaware = verify_audit(&pg, &world.id, &[again]).await.unwrap();
    let rewritten = verify_audit(&pg, &world.id, &[known]).await.unwrap();

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
