//! The log of accesses is a chain: what was done to it shows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{AppId, ConversationId, Seq};
use chat_store::{
    app::{Finding, verify_audit},
    pg::Pg,
    ports_audit::{Access, Action, AuditLog as _, Head, Link},
};
use sqlx::{AssertSqlSafe, PgPool};

use crate::{
    audit::page,
    world::{Ear, World, send_many},
};

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

pub(crate) async fn execute(sql: &PgPool, statement: &str) {
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
