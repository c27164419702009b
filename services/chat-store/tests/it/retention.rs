//! Messages that are kept for ninety days: gone from every answer at once, and from the tables by a job.

use chat_domain::{Direction, MessageId, PageRequest, Role, Seq, Timestamp};
use chat_store::{
    app::{App, Caller, Member, expire_messages},
    ports::Origin,
};
use sqlx::PgPool;

use crate::world::{Ear, World, keyed, send, send_to};

const DAY: i64 = 86_400_000;

/// Ninety days after the messages of the tests, all but a minute.
fn nearly() -> Timestamp {
    Timestamp(service_kit::now().0 + 90 * DAY - 60_000)
}

/// Well after that.
fn later() -> Timestamp {
    Timestamp(service_kit::now().0 + 91 * DAY)
}

async fn count(sql: &PgPool, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count))
        .fetch_one(sql)
        .await
        .unwrap()
}

async fn staff(world: &World, store: &App) -> [Caller; 2] {
    [
        world.user(store, "ada@c.org", Role::Doctor).await,
        world.user(store, "bob@c.org", Role::Admin).await,
    ]
}

#[tokio::test]
async fn what_has_expired_is_in_no_answer_though_it_is_still_stored() {
    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let [ada, bob] = staff(&world, &store).await;
    let sent = send_to(&store, &ada, "bob@c.org", "hello").await.unwrap();
    let (id, message) = (
        sent.conversation.id,
        sent.results[0].as_ref().unwrap().message.id,
    );
    let page = PageRequest::new(Direction::Newest { offset: 0 }, 10).unwrap();
    let seen = async |store: &App| {
        let (_, page) = store.page(&bob, id, page).await.unwrap();
        let (_, range) = store.range(&world.id, id, Seq(0), 10).await.unwrap();
        let synced = store.sync(&bob, &[(id, Seq(0))]).await.unwrap();
        let overview = store.overviews(&bob, None, 10).await.unwrap();
        let counts = [
            store.unread(&bob, id).await.unwrap(),
            store.unread_of_all(&bob).await.unwrap(),
            overview[0].unread,
        ];
        let lists = [
            page.len(),
            range.len(),
            synced[0].messages.len(),
            usize::from(overview[0].last.is_some()),
            store.search_messages(&bob, "hello").await.unwrap().len(),
        ];
        (lists, counts)
    };

    let before = seen(&store.clone().with_clock(nearly)).await;
    let after = seen(&store.clone().with_clock(later)).await;
    let read = store
        .clone()
        .with_clock(later)
        .read_one(&bob, message, Origin::default())
        .await;

    assert_eq!(before, ([1; 5], [1; 3]));
    assert_eq!(after, ([0; 5], [0; 3]));
    assert_eq!(read.unwrap_err().to_string(), "Message not found");
}

#[tokio::test]
async fn an_app_that_keeps_messages_for_ever_shows_them_for_ever() {
    let world = World::speaking("care", "").await;
    let store = world.store(Ear::deaf()).await.with_clock(later);
    let [doctor, patient] = world.associated(&store, "doc", "anna").await;

    send_to(&store, &patient, "doc", "hello").await.unwrap();

    assert_eq!(store.unread_of_all(&doctor).await.unwrap(), 1);
    let pg = world.pg_of(1).await;
    let deleted = expire_messages(&pg, &world.apps, later()).await.unwrap();
    assert_eq!(deleted, (0, 0));
}

#[tokio::test]
async fn the_job_deletes_what_has_expired_and_leaves_the_rest_in_order() {
    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let [ada, bob] = staff(&world, &store).await;
    let conversation = store.open_pair(&ada, &bob.user.id).await.unwrap().id;
    // More than one round of the job, and more than one mark.
    for number in 0..1_300 {
        let message = keyed(&number.to_string(), "x");
        send(&store, &ada, conversation, message).await.unwrap();
    }
    let sql = world.sql().await;
    // All but the last hundred are of long ago.
    let shift = "SELECT create_message_partitions((now() - interval '120 days')::date, 20)";
    sqlx::query(shift).execute(&sql).await.unwrap();
    for statement in [
        "UPDATE messages SET created_at = created_at - interval '100 days' WHERE seq <= 1200",
        "UPDATE message_marks SET created_at = created_at - interval '100 days' WHERE seq <= 1200",
        "UPDATE message_keys SET created_at = created_at - interval '100 days'
         WHERE key::int < 1200",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    let pg = world.pg_of(2).await;
    let partitions = count(&sql, "pg_inherits WHERE inhparent = 'messages'::regclass").await;

    let (deleted, dropped) = expire_messages(&pg, &world.apps, service_kit::now())
        .await
        .unwrap();
    let again = expire_messages(&pg, &world.apps, service_kit::now())
        .await
        .unwrap();

    assert_eq!((deleted, again), (1_200, (0, 0)));
    assert!(dropped > 0);
    let left = count(&sql, "pg_inherits WHERE inhparent = 'messages'::regclass").await;
    assert_eq!(left, partitions - i64::from(dropped));
    assert_eq!(count(&sql, "messages").await, 100);
    assert_eq!(count(&sql, "message_keys").await, 100);
    assert_eq!(store.unread(&bob, conversation).await.unwrap(), 100);
    let first = PageRequest::new(Direction::After(Seq(0)), 200).unwrap();
    for direction in [
        first,
        PageRequest::new(Direction::Newest { offset: 0 }, 200).unwrap(),
    ] {
        let (_, mut page) = store.page(&bob, conversation, direction).await.unwrap();
        page.sort_by_key(|message| message.seq);
        let seqs: Vec<u64> = page.iter().map(|message| message.seq.0).collect();
        assert_eq!(seqs, (1_201..=1_300).collect::<Vec<_>>());
    }
    // The key is free again, and the counters are exact.
    let again = send(&store, &ada, conversation, keyed("7", "anew"))
        .await
        .unwrap();
    assert!(!again.duplicate);
    let ids: Vec<MessageId> = vec![again.message.id];
    store
        .read_anywhere(Member::from(&bob), &ids, Origin::default())
        .await
        .unwrap();
    assert_eq!(store.unread(&bob, conversation).await.unwrap(), 100);
}

#[tokio::test]
async fn a_partition_that_another_app_needs_stays() {
    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let [ada, _] = staff(&world, &store).await;
    send_to(&store, &ada, "bob@c.org", "hello").await.unwrap();
    let sql = world.sql().await;
    // As if another app had written at the same time.
    sqlx::query(
        "INSERT INTO messages (conversation_id, created_at, message_id, seq, sender_id, sender_role,
             kind, content)
         SELECT gen_random_uuid(), created_at, gen_random_uuid(), 1, 'x', 'patient', 'text', 'x'
         FROM messages",
    )
    .execute(&sql)
    .await
    .unwrap();
    let pg = world.pg_of(2).await;
    let later = Timestamp(service_kit::now().0 + 200 * DAY);

    let (deleted, _) = expire_messages(&pg, &world.apps, later).await.unwrap();

    assert_eq!(deleted, 1);
    assert_eq!(count(&sql, "messages").await, 1);
}
