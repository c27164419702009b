//! What Postgres really does: history and receipts open the partitions they need and no other, a key
//! is looked for in one place, and counters change without touching an index.

use std::path::Path;

use chat_domain::{AppId, ConversationId, MessageKind, Seq, UserId};
use chat_store::ports::{Entry, Journal as _, Key, Outcome};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::PgConnectOptions,
};
use uuid::Uuid;

use crate::world::{World, content};

/// Partitions that are there for the weeks to come, where an open end has to look too.
pub(crate) const AHEAD: usize = 5;

/// Fills a year of weekly partitions: each of 200 conversations has one message a week.
pub(crate) async fn a_year(world: &World) -> PgPool {
    world.pg().await;
    let sql = world.sql().await;
    for statement in [
        "SELECT create_message_partitions((now() - interval '52 weeks')::date, 52)",
        "INSERT INTO conversations (conversation_id, app_id, booking_id, first_id, first_role,
             second_id, second_role, last_seq, last_at)
         SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(c), 12, '0'))::uuid, 'app', c::text,
                'c', 'consultant', 'p', 'patient', 52, now()
         FROM generate_series(1, 200) c",
        "INSERT INTO participants (conversation_id, user_id, app_id, unread)
         SELECT conversation_id, unnest(ARRAY['c', 'p']), app_id, 52 FROM conversations",
        "INSERT INTO messages (conversation_id, created_at, message_id, seq, sender_id, sender_role,
             kind, content)
         SELECT conversation_id, date_trunc('milliseconds', now()) - (52 - w) * interval '7 days',
                gen_random_uuid(), w, 'p', 'patient', 'text', 'x'
         FROM conversations, generate_series(1, 52) w",
        "INSERT INTO message_keys (conversation_id, sender_id, key, created_at)
         SELECT conversation_id, sender_id, seq::text, created_at FROM messages",
        "INSERT INTO message_marks (conversation_id, seq, created_at)
         SELECT conversation_id, seq, created_at FROM messages WHERE seq IN (1, 26, 51)",
        "ANALYZE",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    sql
}

pub(crate) const CONVERSATION: ConversationId =
    ConversationId(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0007));

/// Returns the store's statement of that name, from the query data that its build is checked against.
pub(crate) fn statement(name: &str) -> AssertSqlSafe<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let mark = format!("/* {name} */");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .map(|json| serde_json::from_slice::<Value>(&json).unwrap())
        .filter_map(|data| data["query"].as_str().map(str::to_owned))
        .find(|query| query.contains(&mark))
        .map(AssertSqlSafe)
        .unwrap()
}

/// Connects anew, since a session keeps counting for a while, and has statements get the plans that
/// they get in the long run.
pub(crate) async fn fresh(sql: &PgPool) -> PgConnection {
    let options: &PgConnectOptions = &sql.connect_options();
    let mut connection = options.connect().await.unwrap();
    for statement in ["SET plan_cache_mode = force_generic_plan", "BEGIN"] {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection
}

/// Returns how many partitions of `messages` the session's transaction has opened.
pub(crate) async fn opened(session: &mut PgConnection) -> usize {
    let opened: i64 = sqlx::query_scalar(
        r"SELECT count(*) FROM pg_stat_xact_user_tables
          WHERE relname LIKE 'messages\_2%' AND seq_scan + idx_scan > 0",
    )
    .fetch_one(session)
    .await
    .unwrap();
    opened.try_into().unwrap()
}

/// Returns how many partitions of `messages` the session's transaction has locked: a plan locks all that
/// it mentions, and takes its time to, whether or not it opens them.
async fn prepared(session: &mut PgConnection) -> usize {
    let prepared: i64 = sqlx::query_scalar(
        r"SELECT count(DISTINCT relation) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
          WHERE pid = pg_backend_pid() AND relkind = 'r' AND relname LIKE 'messages\_2%'",
    )
    .fetch_one(session)
    .await
    .unwrap();
    prepared.try_into().unwrap()
}

#[tokio::test]
async fn a_page_opens_the_partitions_that_hold_it() {
    let world = World::new().await;
    let sql = a_year(&world).await;

    for (name, place, limit, most) in [
        ("messages.list_before", Seq(53), 2, 2 + AHEAD),
        ("messages.list_before", Seq(26), 2, 3),
        ("messages.list_before", Seq(3), 200, 26),
        ("messages.list_after", Seq(25), 2, 2),
        ("messages.list_after", Seq(30), 2, 7),
        ("messages.list_after", Seq(51), 200, 2 + AHEAD),
        ("messages.list_after", Seq(0), 3, 3),
    ] {
        let mut session = fresh(&sql).await;
        let rows = sqlx::query(statement(name))
            .bind(CONVERSATION.0)
            .bind(i64::try_from(place.0).unwrap())
            .bind(i64::from(limit))
            .bind(None::<time::OffsetDateTime>)
            .fetch_all(&mut session)
            .await
            .unwrap();
        assert!(!rows.is_empty());
        let opened = opened(&mut session).await;
        assert!(opened <= most, "{name} from {place} opened {opened}");
    }
}

#[tokio::test]
async fn a_short_history_does_not_open_what_is_older() {
    let world = World::new().await;
    let sql = a_year(&world).await;
    let young = "DELETE FROM messages WHERE seq < 52 AND conversation_id = $1";
    let marks = "UPDATE message_marks m SET created_at = (
                     SELECT created_at FROM messages WHERE conversation_id = $1)
                 WHERE conversation_id = $1 AND seq = 1";
    for statement in [young, marks] {
        sqlx::query(statement)
            .bind(CONVERSATION.0)
            .execute(&sql)
            .await
            .unwrap();
    }

    let mut session = fresh(&sql).await;
    let page = sqlx::query(statement("messages.list_before"))
        .bind(CONVERSATION.0)
        .bind(53_i64)
        .bind(50_i64)
        .bind(None::<time::OffsetDateTime>)
        .fetch_all(&mut session)
        .await
        .unwrap();

    assert_eq!(page.len(), 1);
    assert!(opened(&mut session).await <= 1 + AHEAD);
}

#[tokio::test]
async fn a_receipt_opens_the_partition_of_its_messages() {
    let world = World::new().await;
    let sql = a_year(&world).await;
    let (id, at): (Uuid, time::OffsetDateTime) = sqlx::query_as(
        "SELECT message_id, created_at FROM messages WHERE conversation_id = $1 AND seq = 30",
    )
    .bind(CONVERSATION.0)
    .fetch_one(&sql)
    .await
    .unwrap();

    let mut session = fresh(&sql).await;
    let delivered: Vec<Uuid> = sqlx::query_scalar(statement("messages.deliver"))
        .bind(vec![CONVERSATION.0])
        .bind(vec!["c".to_owned()])
        .bind(vec![id])
        .bind(vec![at])
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(delivered, [id]);
    assert_eq!(opened(&mut session).await, 1);
    assert_eq!(prepared(&mut session).await, 1);
    session.close().await.unwrap();

    let mut session = fresh(&sql).await;
    let read: Vec<Uuid> = sqlx::query_scalar(statement("messages.read"))
        .bind(CONVERSATION.0)
        .bind("c")
        .bind(vec![id])
        .bind(at)
        .bind(at)
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(read, [id]);
    assert_eq!(opened(&mut session).await, 1);
}

#[tokio::test]
async fn a_key_is_looked_for_in_one_place_however_old_it_is() {
    let world = World::new().await;
    let sql = a_year(&world).await;
    let text = |text: &str| vec![text.to_owned()];

    for (key, status, most) in [("1", 1, 1), ("30", 1, 1), ("new", 0, 0)] {
        let mut session = fresh(&sql).await;
        let outcome: i16 = sqlx::query_scalar(statement("messages.append"))
            .bind(text("app"))
            .bind(vec![CONVERSATION.0])
            .bind(text("p"))
            .bind(text(key))
            .bind(vec![None::<String>])
            .bind(vec![Uuid::new_v4()])
            .bind(text("text"))
            .bind(text("x"))
            .bind(vec![None::<String>])
            .bind(vec![None::<String>])
            .fetch_one(&mut session)
            .await
            .unwrap();
        assert_eq!(outcome, status);
        let opened = opened(&mut session).await;
        assert!(opened <= most, "key {key} opened {opened}");
        if status == 0 {
            assert_eq!(prepared(&mut session).await, 1);
        }
    }
}

#[tokio::test]
async fn counters_change_without_touching_an_index() {
    let world = World::new().await;
    a_year(&world).await;
    let pg = world.pg().await;
    let entry = |sender: &str| Entry {
        app: AppId::new("app").unwrap(),
        conversation: CONVERSATION,
        sender: UserId::new(sender).unwrap(),
        key: Key::fresh(),
        content: content("x"),
    };
    assert_eq!(entry("c").content.kind(), MessageKind::Text);

    for _ in 0..20 {
        let written = pg.append(&[entry("c"), entry("p")]).await.unwrap();
        assert!(matches!(written.outcomes[0], Outcome::Stored { .. }));
    }

    let sql = world.sql().await;
    let changed = test_kit::eventually("the statistics arrive", async || {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
             WHERE relname IN ('conversations', 'participants')",
        )
        .fetch_all(&sql)
        .await
        .unwrap();
        rows.iter().all(|(all, _)| *all >= 20).then_some(rows)
    })
    .await;
    for (all, hot) in changed {
        assert!(hot * 10 >= all * 9, "{hot} of {all} updates were HOT");
    }
}
