//! No statement about messages opens all partitions: those of [`super::plans`] and these are all there
//! are, and a new one has to come here.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use sqlx::{Executor as _, PgConnection, PgPool, Postgres, query::Query};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    plans::{AHEAD, CONVERSATION, a_year, fresh, opened, statement},
    world::World,
};

/// Held to their partitions by the other module.
const ELSEWHERE: [&str; 5] = [
    "messages.append",
    "messages.deliver",
    "messages.list_after",
    "messages.list_before",
    "messages.read",
];

type Binds = fn(
    Query<'_, Postgres, sqlx::postgres::PgArguments>,
    Told,
) -> Query<'_, Postgres, sqlx::postgres::PgArguments>;

/// What statements are asked with: the message of week 30, and a moment half a year ago.
#[derive(Clone, Copy)]
struct Told {
    id: Uuid,
    at: OffsetDateTime,
    half_a_year_ago: OffsetDateTime,
}

/// Each statement, what it is asked, and how many partitions it may open then.
const HELD: [(&str, usize, Binds); 11] = [
    ("messages.find_stored", 1, |query, told| {
        query.bind(told.id).bind(told.at).bind("app").bind("p")
    }),
    ("messages.find", 1, |query, told| {
        query.bind(CONVERSATION.0).bind(told.at).bind(told.id)
    }),
    ("messages.locate", 1, |query, told| {
        query
            .bind("app")
            .bind("c")
            .bind(vec![told.id])
            .bind(vec![told.at])
    }),
    ("messages.list_places", 2, |query, told| {
        query.bind(vec![CONVERSATION.0]).bind(told.half_a_year_ago)
    }),
    ("messages.list_marked", 2 + AHEAD, |query, told| {
        query
            .bind(vec![CONVERSATION.0])
            .bind(told.half_a_year_ago)
            .bind(2_i64)
            .bind(10_i64)
    }),
    ("messages.read_newest", 2 + AHEAD, |query, _| {
        query.bind(CONVERSATION.0).bind("c").bind(2_i64)
    }),
    ("messages.search", 3, |query, _| {
        query
            .bind("app")
            .bind("c")
            .bind("x")
            .bind(5_i64)
            .bind(2_i64)
            .bind(100_i64)
            .bind(None::<OffsetDateTime>)
            .bind(10_i64)
    }),
    ("messages.expire", 4, |query, told| {
        let nearly_a_year = told.half_a_year_ago - Duration::weeks(24);
        query
            .bind("app")
            .bind(nearly_a_year)
            .bind(Uuid::nil())
            .bind(10_i64)
    }),
    ("conversations.list_overviews", 1, |query, _| {
        query
            .bind("app")
            .bind("c")
            .bind(50_i64)
            .bind(None::<String>)
            .bind(None::<OffsetDateTime>)
    }),
    ("participants.count_unread", 0, |query, _| {
        query.bind("app").bind("c").bind(None::<OffsetDateTime>)
    }),
    ("participants.find_unread", 27 + AHEAD, |query, told| {
        query
            .bind(CONVERSATION.0)
            .bind("c")
            .bind("app")
            .bind(told.half_a_year_ago)
    }),
];

async fn told(sql: &PgPool) -> Told {
    let (id, at) = sqlx::query_as(
        "SELECT message_id, created_at FROM messages WHERE conversation_id = $1 AND seq = 30",
    )
    .bind(CONVERSATION.0)
    .fetch_one(sql)
    .await
    .unwrap();
    Told {
        id,
        at,
        half_a_year_ago: OffsetDateTime::now_utc() - Duration::weeks(26),
    }
}

#[tokio::test]
async fn no_statement_opens_partitions_that_it_has_no_use_for() {
    let world = World::new().await;
    let sql = a_year(&world).await;
    let told = told(&sql).await;

    for (name, most, bind) in HELD {
        let mut session: PgConnection = fresh(&sql).await;
        let query = bind(sqlx::query(statement(name)), told);
        session.fetch_all(query).await.unwrap();
        let opened = opened(&mut session).await;
        assert!(opened <= most, "{name} opened {opened}");
    }
}

#[test]
fn every_statement_about_messages_is_held_to_its_partitions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let mentions = |query: &str| {
        let words = query.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        let pairs = words.clone().zip(words.clone().skip(1));
        let from = |word: &str| ["from", "join", "update", "into"].contains(&&*word.to_lowercase());
        // Words with empty ones between them are apart: a comma or a bracket is there.
        pairs
            .into_iter()
            .any(|(before, word)| from(before) && word == "messages")
            || words.into_iter().any(|word| word.ends_with("_messages"))
    };
    let queries = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .map(|json| serde_json::from_slice::<Value>(&json).unwrap())
        .map(|data| data["query"].as_str().unwrap().to_owned());
    let about: BTreeSet<String> = queries
        .filter(|query| mentions(query))
        .map(|query| {
            let name = query.split_once("/* ").unwrap().1;
            name.split_once(" */").unwrap().0.to_owned()
        })
        .collect();

    let held = HELD.iter().map(|(name, ..)| *name).chain(ELSEWHERE);
    let held: BTreeSet<String> = held.map(str::to_owned).collect();
    assert_eq!(about, held);
}
