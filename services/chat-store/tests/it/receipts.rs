//! Receipts: once each, of others' messages alone, and the counter exact.

use std::sync::Arc;

use chat_domain::{
    ChatError, ConversationId, Direction, MessageId, PageRequest, Receipt, Role, Seq,
};
use chat_store::{
    app::{App, Caller},
    ports::{Fact, Origin, Received},
};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::world::{Ear, World, new, send, send_many};

async fn receive(
    store: &App,
    caller: &Caller,
    conversation: ConversationId,
    ids: &[MessageId],
    receipt: Receipt,
) -> Received {
    store
        .receive(caller, conversation, ids, receipt, Origin::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_message_is_read_once_and_by_the_other_side() {
    let world = World::new().await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let (pair, conversation) = world.talk(&store).await;
    let sent = send_many(&store, &pair.patient, conversation, 3).await;
    let own = send(&store, &pair.consultant, conversation, new("x")).await;
    let own = own.unwrap().message.id;
    let unknown = MessageId::new(conversation, sent[0].id.unix_ms(), 1);
    let nonsense = MessageId(Uuid::max());
    let ids = [sent[1].id, own, sent[0].id, unknown, nonsense, sent[1].id];

    let first = receive(&store, &pair.consultant, conversation, &ids, Receipt::Read).await;
    let again = receive(&store, &pair.consultant, conversation, &ids, Receipt::Read).await;
    let nothing = receive(&store, &pair.consultant, conversation, &[], Receipt::Read).await;

    assert_eq!(first.ids, [sent[0].id, sent[1].id]);
    assert_eq!((again.ids, nothing.ids), (vec![], vec![]));
    assert_eq!(
        store.unread(&pair.consultant, conversation).await.unwrap(),
        1
    );
    let (_, messages) = store
        .range(&world.id, conversation, Seq(0), 10)
        .await
        .unwrap();
    let read: Vec<_> = messages.iter().map(|message| message.read_at).collect();
    assert_eq!(read, [Some(first.at), Some(first.at), None, None]);
    let delivered: Vec<_> = messages
        .iter()
        .map(|message| message.delivered_at)
        .collect();
    assert_eq!(delivered, read, "who read it has received it");
    let told: Vec<_> = ear
        .events()
        .into_iter()
        .filter(|event| matches!(event.fact, Fact::MessagesReceived { .. }))
        .collect();
    assert_eq!(told.len(), 1, "only what was marked is told");
    assert_eq!(told[0].targets.len(), 2);
}

#[tokio::test]
async fn receipts_belong_to_participants_and_their_own_conversation() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let (other, elsewhere) = world.talk(&store).await;
    let sent = send_many(&store, &pair.patient, conversation, 1).await;
    let ids = [sent[0].id];
    let stranger = world.caller(Role::Consultant);

    let by_stranger = store
        .receive(
            &stranger,
            conversation,
            &ids,
            Receipt::Read,
            Origin::default(),
        )
        .await;
    let crossed = receive(&store, &other.consultant, elsewhere, &ids, Receipt::Read).await;
    let too_many = store
        .receive(
            &pair.consultant,
            conversation,
            &[ids[0]; 501],
            Receipt::Read,
            Origin::default(),
        )
        .await;

    assert!(matches!(by_stranger, Err(ChatError::NotParticipant)));
    assert_eq!(crossed.ids, []);
    assert!(matches!(too_many, Err(ChatError::TooLarge(_))));
    assert_eq!(
        store.unread(&pair.consultant, conversation).await.unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_marked_and_told_once_however_many_come_at_a_time() {
    let world = World::new().await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let mut talks = Vec::new();
    for _ in 0..8 {
        let (pair, conversation) = world.talk(&store).await;
        let sent = send_many(&store, &pair.patient, conversation, 5).await;
        let ids: Vec<_> = sent.iter().map(|message| message.id).collect();
        talks.push((Arc::new(pair), conversation, ids));
    }
    let stranger = world.caller(Role::Consultant);
    let (_, foreign, foreign_ids) = &talks[0];

    let by_stranger = store.receive(
        &stranger,
        *foreign,
        foreign_ids,
        Receipt::Delivered,
        Origin::default(),
    );
    let devices = talks.iter().flat_map(|talk| [talk; 3]).map(|talk| {
        let (store, (pair, conversation, ids)) = (store.clone(), talk.clone());
        tokio::spawn(async move {
            let reader = &pair.consultant;
            receive(&store, reader, conversation, &ids, Receipt::Delivered).await
        })
    });
    let (by_stranger, marked) = tokio::join!(by_stranger, join_all(devices));

    assert!(matches!(by_stranger, Err(ChatError::NotParticipant)));
    let mut marked: Vec<_> = marked
        .into_iter()
        .flat_map(|one| one.unwrap().ids)
        .collect();
    let mut all: Vec<_> = talks.iter().flat_map(|(_, _, ids)| ids.clone()).collect();
    marked.sort();
    all.sort();
    assert_eq!(marked, all);
    let told = ear
        .events()
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::MessagesReceived { received, .. } => Some(received.ids.len()),
            Fact::MessageAppended(..) => None,
        });
    assert_eq!(told.sum::<usize>(), all.len());
}

#[tokio::test]
async fn delivery_counts_nothing_and_reading_a_page_is_delivery() {
    let world = World::new().await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let (pair, conversation) = world.talk(&store).await;
    send_many(&store, &pair.patient, conversation, 3).await;
    let newest = PageRequest::new(Direction::Newest { offset: 0 }, 2).unwrap();

    let (_, own) = store
        .page(&pair.patient, conversation, newest)
        .await
        .unwrap();
    let (_, page) = store
        .page(&pair.consultant, conversation, newest)
        .await
        .unwrap();
    let (_, again) = store
        .page(&pair.consultant, conversation, newest)
        .await
        .unwrap();

    assert!(own.iter().all(|message| message.delivered_at.is_none()));
    assert!(page.iter().all(|message| message.delivered_at.is_some()));
    assert_eq!(page, again);
    assert!(page.iter().all(|message| message.read_at.is_none()));
    assert_eq!(
        store.unread(&pair.consultant, conversation).await.unwrap(),
        3
    );
    let deliveries = ear
        .events()
        .into_iter()
        .filter(|event| {
            matches!(
                event.fact,
                Fact::MessagesReceived {
                    receipt: Receipt::Delivered,
                    ..
                }
            )
        })
        .count();
    assert_eq!(deliveries, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counter_is_exact_while_both_sides_write_and_read() {
    let world = World::new().await;
    let stores = [
        world.store(Ear::deaf()).await,
        world.store(Ear::deaf()).await,
    ];
    let (pair, conversation) = world.talk(&stores[0]).await;
    let pair = Arc::new(pair);

    let workers = (0..12).map(|worker| {
        let (store, pair) = (stores[worker % 2].clone(), Arc::clone(&pair));
        tokio::spawn(async move {
            let caller = [&pair.consultant, &pair.patient][worker / 2 % 2];
            for step in 0..25 {
                if worker < 6 {
                    send(&store, caller, conversation, new("x")).await.unwrap();
                    continue;
                }
                // Several devices mark overlapping pages, in opposite orders.
                let newest = PageRequest::new(Direction::Newest { offset: step }, 20).unwrap();
                let (_, page) = store.page(caller, conversation, newest).await.unwrap();
                let mut ids: Vec<_> = page.iter().map(|message| message.id).collect();
                if worker % 2 == 0 {
                    ids.reverse();
                }
                receive(&store, caller, conversation, &ids, Receipt::Read).await;
            }
        })
    });
    join_all(workers).await.into_iter().for_each(Result::unwrap);

    let (_, messages) = stores[0]
        .range(&world.id, conversation, Seq(0), 500)
        .await
        .unwrap();
    assert_eq!(messages.len(), 150);
    for reader in [&pair.consultant, &pair.patient] {
        let left = messages
            .iter()
            .filter(|message| message.sender != reader.user.id && message.read_at.is_none())
            .count();
        let unread = stores[0].unread(reader, conversation).await.unwrap();
        assert_eq!(unread, left as u64);
    }
}
