//! What a user who is back missed: all of it, or an error.

use chat_domain::{ChatError, ConversationId, Receipt, Seq, Timestamp};
use chat_store::{
    app::{App, Resumed, Stood},
    ports::Origin,
};

use crate::world::{Ear, Pair, World, new, send, send_many};

/// Where somebody stood who had nothing and knew of no conversation.
async fn stood(store: &App) -> Stood {
    Stood {
        named: Vec::new(),
        others_since: None,
        epoch: store.epoch().await.unwrap(),
        joined: Vec::new(),
        receipts_since: Timestamp(0),
    }
}

async fn resume(
    world: &World,
    store: &App,
    pair: &Pair,
    stood: &Stood,
) -> Result<Resumed, ChatError> {
    let patient = &pair.patient.user;
    store.resume_session(&world.id, patient, stood).await
}

/// Makes another conversation of the patient's.
async fn another(world: &World, store: &App, first: &Pair) -> (Pair, ConversationId) {
    let mut next = world.pair(store).await;
    next.patient = first.patient.clone();
    store
        .put_booking(&world.id, next.as_booking(), None)
        .await
        .unwrap();
    let id = next.open(store).await.id;
    (next, id)
}

#[tokio::test]
async fn what_lies_behind_the_places_is_counted() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    send_many(&store, &pair.consultant, conversation, 5).await;

    let stood = Stood {
        named: vec![(conversation, Seq(2))],
        ..stood(&store).await
    };
    let resumed = resume(&world, &store, &pair, &stood).await.unwrap();

    assert_eq!(resumed.stands, [(conversation, Seq(2), Seq(5))]);
    assert_eq!(resumed.n_missed, 3);
    assert_eq!(resumed.opened.heads.len(), 1);
}

#[tokio::test]
async fn of_conversations_that_were_not_named_the_time_tells_what_was_missed() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let known = send_many(&store, &pair.consultant, conversation, 2).await;
    let (unheard, quiet) = another(&world, &store, &pair).await;
    send(&store, &unheard.consultant, quiet, new("x"))
        .await
        .unwrap();
    let last = send(&store, &pair.consultant, conversation, new("y")).await;
    let last = last.unwrap().message.created_at;

    let since = async |at| {
        let stood = Stood {
            others_since: at,
            ..stood(&store).await
        };
        let resumed = resume(&world, &store, &pair, &stood).await.unwrap();
        let mut stands = resumed.stands;
        stands.sort();
        (stands, resumed.n_missed)
    };
    let behind_two = (conversation, Seq(2), Seq(3));

    assert_eq!(since(Some(last)).await, (vec![], 0));
    let mut both = vec![behind_two, (quiet, Seq(0), Seq(1))];
    both.sort();
    assert_eq!(since(Some(known[1].created_at)).await, (both, 2));
    let mut all = vec![(conversation, Seq(0), Seq(3)), (quiet, Seq(0), Seq(1))];
    all.sort();
    assert_eq!(since(None).await, (all, 4));
}

#[tokio::test]
async fn what_was_received_meanwhile_is_told_of_joined_rooms() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let sent = send_many(&store, &pair.patient, conversation, 3).await;
    let receive = |index: usize, receipt| {
        let (store, pair, id) = (&store, &pair, sent[index].id);
        async move {
            let ids = [id];
            let received = store
                .receive(
                    &pair.consultant,
                    conversation,
                    &ids,
                    receipt,
                    Origin::default(),
                )
                .await;
            received.unwrap()
        }
    };
    receive(0, Receipt::Read).await;
    let delivered = receive(1, Receipt::Delivered).await;
    let read = receive(1, Receipt::Read).await;

    let told = async |joined, at: Timestamp| {
        let stood = Stood {
            named: vec![(conversation, Seq(3))],
            joined,
            receipts_since: at,
            ..stood(&store).await
        };
        let resumed = resume(&world, &store, &pair, &stood).await.unwrap();
        let told = resumed.receipts.into_iter();
        told.map(|marked| (marked.receipt, marked.user, marked.received))
            .collect::<Vec<_>>()
    };

    let consultant = &pair.consultant.user.id;
    let here = vec![conversation];
    assert_eq!(told(vec![], Timestamp(0)).await, []);
    assert_eq!(told(here.clone(), Timestamp(read.at.0 + 1)).await, []);
    let expected = [(Receipt::Read, consultant.clone(), read.clone())];
    let since_read = told(here.clone(), read.at).await;
    assert!(since_read.ends_with(&expected), "{since_read:?}");
    let all = told(here, Timestamp(0)).await;
    assert!(all.contains(&(Receipt::Delivered, consultant.clone(), delivered)));
    assert!(all.contains(&expected[0]));
}

#[tokio::test]
async fn strangers_too_much_and_another_generation_are_refused() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let (_others, foreign) = world.talk(&store).await;
    send(&store, &pair.consultant, conversation, new("x"))
        .await
        .unwrap();
    let own = stood(&store).await;

    let of_others = Stood {
        named: vec![(foreign, Seq(0))],
        ..own.clone()
    };
    let refused = resume(&world, &store, &pair, &of_others).await;
    assert!(matches!(refused, Err(ChatError::NotParticipant)));

    let joined_others = Stood {
        joined: vec![foreign],
        ..own.clone()
    };
    let refused = resume(&world, &store, &pair, &joined_others).await;
    assert!(matches!(refused, Err(ChatError::NotParticipant)));

    let of_the_past = Stood {
        epoch: own.epoch + 1,
        ..own.clone()
    };
    let refused = resume(&world, &store, &pair, &of_the_past).await;
    assert!(matches!(refused, Err(ChatError::Conflict(_))));

    let endless = Stood {
        named: vec![(conversation, Seq(0)); 501],
        ..own
    };
    let refused = resume(&world, &store, &pair, &endless).await;
    assert!(matches!(refused, Err(ChatError::TooLarge(_))));
}

#[tokio::test]
async fn more_than_five_thousand_messages_are_refused() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    for _ in 0..51 {
        send_many(&store, &pair.consultant, conversation, 100).await;
    }

    let own = stood(&store).await;
    let behind = |after| Stood {
        named: vec![(conversation, Seq(after))],
        ..own.clone()
    };

    let refused = resume(&world, &store, &pair, &behind(99)).await;
    assert!(matches!(refused, Err(ChatError::TooLarge(_))));
    let resumed = resume(&world, &store, &pair, &behind(100)).await.unwrap();
    assert_eq!(resumed.n_missed, 5_000);
}
