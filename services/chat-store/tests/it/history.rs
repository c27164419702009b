//! History: every page of it, from both ends, over partitions.

use chat_domain::{ChatError, Direction, Message, PageRequest, Role, Seq};
use chat_store::app::{App, Caller};

use crate::world::{Ear, World, new, send, send_many};

fn places(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.0).collect()
}

async fn page(
    store: &App,
    caller: &Caller,
    conversation: chat_domain::ConversationId,
    direction: Direction,
    limit: u32,
) -> Vec<u64> {
    let request = PageRequest::new(direction, limit).unwrap();
    let (_, messages) = store.page(caller, conversation, request).await.unwrap();
    places(&messages)
}

#[tokio::test]
async fn pages_run_both_ways_from_any_place() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    // More than two marks' worth, the older half a week older.
    send_many(&store, &pair.patient, conversation, 300).await;
    let sql = world.sql().await;
    for statement in [
        "UPDATE messages SET created_at = created_at - interval '7 days' WHERE seq <= 150",
        "UPDATE message_marks SET created_at = created_at - interval '7 days' WHERE seq <= 150",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    let page = |direction, limit| page(&store, &pair.patient, conversation, direction, limit);
    let down = |from: u64, to: u64| (to..=from).rev().collect::<Vec<_>>();
    let up = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();

    assert_eq!(
        page(Direction::Newest { offset: 0 }, 3).await,
        down(300, 298)
    );
    assert_eq!(
        page(Direction::Newest { offset: 145 }, 10).await,
        down(155, 146)
    );
    assert_eq!(
        page(Direction::Newest { offset: 298 }, 10).await,
        down(2, 1)
    );
    assert!(page(Direction::Newest { offset: 300 }, 10).await.is_empty());
    assert!(
        page(Direction::Newest { offset: 9_999 }, 10)
            .await
            .is_empty()
    );
    for place in [1_u64, 2, 128, 129, 130, 150, 151, 257, 258, 300, 301, 9_999] {
        let newest = (place - 1).min(300);
        let oldest = newest.saturating_sub(19).max(1);
        let before = page(Direction::Before(Seq(place)), 20).await;
        assert_eq!(before, down(newest, oldest), "before {place}");
        let after = page(Direction::After(Seq(place)), 20).await;
        assert_eq!(after, up(place + 1, (place + 20).min(300)), "after {place}");
    }
    assert_eq!(page(Direction::After(Seq(0)), 200).await, up(1, 200));
    assert!(page(Direction::After(Seq(u64::MAX)), 5).await.is_empty());
    assert!(page(Direction::Before(Seq(0)), 5).await.is_empty());
    assert_eq!(page(Direction::Before(Seq(u64::MAX)), 1).await, [300]);
}

#[tokio::test]
async fn an_empty_conversation_has_an_empty_page() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;

    for direction in [
        Direction::Newest { offset: 0 },
        Direction::Before(Seq(5)),
        Direction::After(Seq(0)),
    ] {
        let page = page(&store, &pair.patient, conversation, direction, 9).await;
        assert!(page.is_empty());
    }
}

#[tokio::test]
async fn a_gateway_reads_the_range_it_lacks() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    send_many(&store, &pair.patient, conversation, 10).await;

    let (head, gap) = store
        .range(&world.id, conversation, Seq(3), 4)
        .await
        .unwrap();
    let (_, none) = store
        .range(&world.id, conversation, Seq(10), 4)
        .await
        .unwrap();

    assert_eq!(head.last_seq, Seq(10));
    assert_eq!(places(&gap), [4, 5, 6, 7]);
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_device_catches_up_on_its_own_conversations() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, first) = world.talk(&store).await;
    let (_, foreign) = world.talk(&store).await;
    send_many(&store, &pair.consultant, first, 510).await;

    let synced = store.sync(&pair.patient, &[(first, Seq(5))]).await.unwrap();
    let refused = store
        .sync(&pair.patient, &[(first, Seq(5)), (foreign, Seq(0))])
        .await;

    assert_eq!(places(&synced[0].messages), (6..=505).collect::<Vec<_>>());
    assert!(synced[0].more);
    assert!(matches!(refused, Err(ChatError::NotParticipant)));
}

#[tokio::test]
async fn strangers_read_nothing() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    send(&store, &pair.patient, conversation, new("x"))
        .await
        .unwrap();
    let stranger = world.caller(Role::Patient);
    let newest = PageRequest::new(Direction::Newest { offset: 0 }, 9).unwrap();

    let page = store.page(&stranger, conversation, newest).await;

    assert!(matches!(page, Err(ChatError::NotParticipant)));
}
