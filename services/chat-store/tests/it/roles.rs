//! What the roles of the services may do in the database, and that they can do their work with it.

use std::sync::Arc;

use chat_domain::{ChatError, Direction, PageRequest, Role, Seq, Timestamp};
use chat_store::{
    app::{App, expire_messages, verify_audit},
    pg::Pg,
    ports::Origin,
    ports_audit::{Access, Action, AuditLog as _},
    ports_records::{Held, Records as _, Step},
};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgConnectOptions};

use crate::world::{Ear, World, new, no_roster, private_calls, send};

const DAY: i64 = 86_400_000;

/// A login that is a member of a role and nothing else.
async fn login(world: &World, role: &str) -> PgConnectOptions {
    let sql = world.sql().await;
    let name = format!("login_of_{role}");
    let make = format!(
        "SELECT pg_advisory_lock(1); \
         DO $$ BEGIN CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE {role}; \
         EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         SELECT pg_advisory_unlock(1)"
    );
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(&sql)
        .await
        .unwrap();
    let options = PgConnectOptions::clone(&sql.connect_options());
    options.username(&name).password("x")
}

async fn refused(sql: &PgPool, statement: &str) {
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(sql)
        .await;
    let code = outcome
        .as_ref()
        .err()
        .and_then(sqlx::Error::as_database_error);
    let code = code
        .and_then(sqlx::error::DatabaseError::code)
        .unwrap_or_default();
    assert_eq!(code, "42501", "{statement}: {outcome:?}");
}

#[tokio::test]
async fn the_store_may_change_no_content_and_delete_nothing() {
    let world = World::new().await;
    world.pg_of(1).await;
    let sql = PgPool::connect_with(login(&world, "chat_service").await)
        .await
        .unwrap();

    for statement in [
        "UPDATE messages SET content = 'x'",
        "UPDATE messages SET sender_id = 'x'",
        "UPDATE messages SET seq = 1",
        "DELETE FROM messages",
        "TRUNCATE messages",
        "UPDATE message_keys SET key = 'x'",
        "DELETE FROM message_keys",
        "DELETE FROM message_marks",
        "DELETE FROM conversations",
        "UPDATE conversations SET first_id = 'x'",
        "UPDATE participants SET user_id = 'x'",
        "DELETE FROM participants",
        "DELETE FROM calls",
        "DELETE FROM users",
        "INSERT INTO audit_log SELECT * FROM audit_log",
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "UPDATE audit_heads SET place = 0",
        "DELETE FROM audit_heads",
        "INSERT INTO legal_holds SELECT * FROM legal_holds",
        "DELETE FROM legal_holds",
        "UPDATE erasures SET finished_at = now()",
        "SELECT expire_messages('a', now(), gen_random_uuid(), 1)",
        "SELECT drop_empty_message_partitions(now())",
        "SELECT begin_erasure('a', 'u', 'p')",
        "SELECT erase_step('a', 'u', 'p', 1)",
        "SELECT erase_files('p', '{}')",
        "SELECT drop_accesses('a', 1)",
        "UPDATE epoch SET generation = 2",
        "CREATE TABLE mine ()",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE messages DISABLE TRIGGER ALL",
        "ALTER FUNCTION erase_step(text, text, text, bigint) SECURITY INVOKER",
        "SET ROLE chat_custodian",
        "COPY messages TO PROGRAM 'cat'",
    ] {
        refused(&sql, statement).await;
    }
}

#[tokio::test]
async fn the_custodian_may_erase_only_by_the_functions_for_it() {
    let world = World::new().await;
    world.pg_of(1).await;
    let sql = PgPool::connect_with(login(&world, "chat_custodian").await)
        .await
        .unwrap();

    for statement in [
        "UPDATE messages SET content = 'x'",
        "DELETE FROM messages",
        "INSERT INTO users SELECT * FROM users",
        "DELETE FROM audit_log",
        "UPDATE audit_heads SET place = 0",
        "SELECT drop_accesses('a', 1)",
        "SELECT create_message_partitions(now()::date, 1)",
        "CREATE TABLE mine ()",
    ] {
        refused(&sql, statement).await;
    }
}

#[tokio::test]
async fn every_table_that_is_added_is_granted_to_the_store() {
    let world = World::new().await;
    let sql = world.sql().await;

    let forgotten: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text
         FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT c.relispartition AND NOT has_table_privilege('chat_service', c.oid, 'SELECT')",
    )
    .fetch_all(&sql)
    .await
    .unwrap();

    assert_eq!(forgotten, [] as [&str; 0]);
}

#[tokio::test]
async fn the_roles_are_enough_for_the_work() {
    let world = World::speaking("clinic", "").await;
    let owner = world.pg_of(1).await;
    let service = Pg::connect_with(login(&world, "chat_service").await, 4)
        .await
        .unwrap();
    let custodian = Pg::connect_with(login(&world, "chat_custodian").await, 1)
        .await
        .unwrap();
    service.migrate().await.unwrap();
    service.create_partitions().await.unwrap();
    let pg = Arc::new(service);
    let (calls, roster) = (private_calls(&pg, &world.apps), no_roster(&pg, &world.apps));
    let store: App = world.store_with(&pg, Ear::deaf(), calls, roster);
    let ada = world.user(&store, "ada@c.org", Role::Doctor).await;
    let bob = world.user(&store, "bob@c.org", Role::Admin).await;
    let id = store.open_pair(&ada, &bob.user.id).await.unwrap().id;

    let sent = send(&store, &ada, id, new("hello")).await.unwrap().message;
    let page = PageRequest::new(Direction::Newest { offset: 0 }, 10).unwrap();
    let (_, seen) = store.page(&bob, id, page).await.unwrap();
    let synced = store.sync(&bob, &[(id, Seq(0))]).await.unwrap();
    store
        .read_one(&bob, sent.id, Origin::default())
        .await
        .unwrap();
    let later = Timestamp(service_kit::now().0 + 91 * DAY);
    let held = Held::Conversation(id);
    custodian
        .place_hold(&world.id, &held, "case", "olga")
        .await
        .unwrap();
    let kept = expire_messages(&custodian, &world.apps, later)
        .await
        .unwrap();
    assert!(custodian.release_hold(&world.id, &held).await.unwrap());
    let erasure = custodian
        .begin_erasure(&world.id, &ada.user.id)
        .await
        .unwrap()
        .unwrap();
    custodian.note_revoked(&erasure.pseudonym).await.unwrap();
    let files = custodian.list_files_of(&world.id, &ada.user.id, 1);
    let files = files.await.unwrap().unwrap();
    custodian
        .erase_files(&erasure.pseudonym, &files)
        .await
        .unwrap();
    let mut step = Step::More;
    while step == Step::More {
        let stepping = custodian.erase_step(&world.id, &ada.user.id, &erasure.pseudonym, 10);
        step = stepping.await.unwrap();
    }
    let said = Access::new(&world.id, "olga", Action::Erase);
    let link = pg.record(&[said]).await.unwrap()[0];
    custodian
        .finish_erasure(&erasure.pseudonym, link)
        .await
        .unwrap();
    let gone = expire_messages(&custodian, &world.apps, later)
        .await
        .unwrap();

    assert!(seen[0].delivered_at.is_some());
    assert_eq!(synced[0].messages.len(), 1);
    assert_eq!((kept.0, gone.0, step), (0, 1, Step::Done));
    let chain = verify_audit(&owner, &world.id, &[link], None)
        .await
        .unwrap();
    assert_eq!(chain.findings, []);
}

#[tokio::test]
async fn a_store_that_may_not_migrate_waits_for_who_may() {
    let world = World::new().await;
    let login = login(&world, "chat_service").await;
    let sql = world.sql().await;
    sqlx::raw_sql(
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
    )
    .execute(&sql)
    .await
    .unwrap();
    let pg = Pg::connect_with(login, 1).await.unwrap();

    let waits = pg.migrate().await.unwrap_err();

    assert!(matches!(waits, ChatError::Unavailable { .. }), "{waits:?}");
}
