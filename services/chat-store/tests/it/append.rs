//! Appending: order without gaps, once each, whatever happens at the same time.

use std::{collections::HashSet, sync::Arc};

use chat_domain::{ChatError, Content, Message, MessageKind, Role, Seq};
use chat_store::{
    app::{App, NewMessage, Target},
    ports::{Fact, Key, Origin, Slice, Store as _},
};
use futures_util::future::join_all;

use crate::world::{Ear, World, keyed, new, send, send_many};

/// Asserts that places run from 1 without gaps, and that times and ids rise with them.
fn assert_in_order(messages: &[Message]) {
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message.seq, Seq(index as u64 + 1));
        assert_eq!(
            i64::try_from(message.id.unix_ms()).unwrap(),
            message.created_at.0
        );
    }
    for pair in messages.windows(2) {
        assert!(pair[0].created_at < pair[1].created_at);
        assert!(pair[0].id < pair[1].id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_on_two_replicas_store_each_key_once_and_in_order() {
    const WRITERS: usize = 16;
    const SENDS: usize = 60;
    const KEYS: usize = 300;
    let world = World::new().await;
    let stores = [
        world.store(Ear::deaf()).await,
        world.store(Ear::deaf()).await,
    ];
    let (pair, conversation) = world.talk(&stores[0]).await;
    let patient = Arc::new(pair.patient.clone());

    // Every writer walks over the same keys from another start, in requests of one to three: the same
    // key meets itself inside a request, inside a batch, across batches and across replicas.
    let writers = (0..WRITERS).map(|writer| {
        let (store, patient) = (stores[writer % 2].clone(), Arc::clone(&patient));
        tokio::spawn(async move {
            let mut stored = Vec::new();
            for send in 0..SENDS {
                let key = (writer * 37 + send * 7) % KEYS;
                let items: Vec<_> = (0..=writer % 3)
                    .map(|step| (key + step * (send % 2)) % KEYS)
                    .map(|key| keyed(&format!("k{key}"), &format!("text {key}")))
                    .collect();
                let target = Target::Conversation(conversation);
                let appended = store
                    .append(&patient, target, items, Origin::default())
                    .await
                    .unwrap();
                stored.extend(appended.results.into_iter().map(Result::unwrap));
            }
            stored
        })
    });
    let stored: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();

    let fresh = stored.iter().filter(|item| !item.duplicate).count();
    let keys: HashSet<_> = stored.iter().map(|item| &item.message.client_key).collect();
    assert_eq!(fresh, keys.len(), "each key was stored once");
    for item in &stored {
        let same =
            |other: &&chat_store::app::Stored| other.message.client_key == item.message.client_key;
        for other in stored.iter().filter(same) {
            assert_eq!(other.message.id, item.message.id);
            assert_eq!(other.message.seq, item.message.seq);
        }
    }
    let pg = world.pg().await;
    let all = pg
        .list_messages(conversation, Slice::After(Seq(0)), 10_000, None)
        .await
        .unwrap();
    assert_eq!(all.len(), fresh);
    assert_in_order(&all);
    let unread = stores[0].unread(&pair.consultant, conversation).await;
    assert_eq!(unread.unwrap(), fresh as u64);
    assert_eq!(
        stores[1].unread(&pair.patient, conversation).await.unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_over_many_conversations_do_not_deadlock() {
    let world = World::new().await;
    let stores = [
        world.store(Ear::deaf()).await,
        world.store(Ear::deaf()).await,
    ];
    let talks: Vec<_> = join_all((0..8).map(|_| world.talk(&stores[0]))).await;
    let talks = Arc::new(talks);

    let writers = (0..16).map(|writer| {
        let (store, talks) = (stores[writer % 2].clone(), Arc::clone(&talks));
        tokio::spawn(async move {
            for step in 0..40 {
                let (pair, conversation) = &talks[(writer * 3 + step * 5) % talks.len()];
                let sender = [&pair.consultant, &pair.patient][(writer + step) % 2];
                send(&store, sender, *conversation, new("x")).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);

    let mut total = 0;
    for (pair, conversation) in talks.iter() {
        let range = stores[0].range(&world.id, *conversation, Seq(0), 500).await;
        let (head, messages) = range.unwrap();
        assert_in_order(&messages);
        assert_eq!(head.last_seq.0, messages.len() as u64);
        let sent_by = |caller: &chat_store::app::Caller| {
            let sent = messages
                .iter()
                .filter(|message| message.sender == caller.user.id);
            sent.count() as u64
        };
        for (reader, writer) in [
            (&pair.consultant, &pair.patient),
            (&pair.patient, &pair.consultant),
        ] {
            let unread = stores[1].unread(reader, *conversation).await.unwrap();
            assert_eq!(unread, sent_by(writer));
        }
        total += messages.len();
    }
    assert_eq!(total, 16 * 40);
}

#[tokio::test]
async fn a_key_stands_for_one_content() {
    let world = World::new().await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let (pair, conversation) = world.talk(&store).await;

    let first = send(&store, &pair.patient, conversation, keyed("k", "one")).await;
    let again = send(&store, &pair.patient, conversation, keyed("k", "one")).await;
    let other = send(&store, &pair.patient, conversation, keyed("k", "two")).await;
    let elsewhere = send(&store, &pair.consultant, conversation, keyed("k", "two")).await;
    let within = store
        .append(
            &pair.patient,
            Target::Conversation(conversation),
            vec![keyed("m", "1"), keyed("m", "1"), keyed("m", "2")],
            Origin::default(),
        )
        .await
        .unwrap();

    let (first, again) = (first.unwrap(), again.unwrap());
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(first.message, again.message);
    assert!(matches!(other, Err(ChatError::KeyReused)));
    assert!(!elsewhere.unwrap().duplicate, "keys are the sender's own");
    let duplicates: Vec<_> = within
        .results
        .iter()
        .map(|item| {
            item.as_ref()
                .map(|item| item.duplicate)
                .map_err(ChatError::kind)
        })
        .collect();
    assert_eq!(
        duplicates,
        [Ok(false), Ok(true), Err(chat_domain::ErrorKind::Conflict)]
    );
    assert_eq!(ear.events().len(), 3, "only what was stored is told");
}

#[tokio::test]
async fn keys_hold_across_partitions() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let old = send(&store, &pair.patient, conversation, keyed("k", "old"))
        .await
        .unwrap();
    // A year passes.
    let sql = world.sql().await;
    for statement in [
        "SELECT create_message_partitions((now() - interval '1 year')::date, 1)",
        "UPDATE messages SET created_at = created_at - interval '1 year'",
        "UPDATE message_keys SET created_at = created_at - interval '1 year'",
        "UPDATE conversations SET last_at = last_at - interval '1 year'",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }

    let again = send(&store, &pair.patient, conversation, keyed("k", "old"))
        .await
        .unwrap();
    let other = send(&store, &pair.patient, conversation, keyed("k", "new")).await;

    assert!(again.duplicate);
    assert_eq!(again.message.id, old.message.id);
    assert!(matches!(other, Err(ChatError::KeyReused)));
}

#[tokio::test]
async fn a_key_whose_message_is_gone_is_free_again() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    send(&store, &pair.patient, conversation, keyed("k", "old"))
        .await
        .unwrap();
    let sql = world.sql().await;
    sqlx::query("DELETE FROM messages")
        .execute(&sql)
        .await
        .unwrap();

    let new = send(&store, &pair.patient, conversation, keyed("k", "new"))
        .await
        .unwrap();

    assert!(!new.duplicate);
    assert_eq!(new.message.seq, Seq(2));
}

#[tokio::test]
async fn time_rises_when_the_clock_stands_still_or_goes_back() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    // One request is one moment of the clock.
    let together = send_many(&store, &pair.patient, conversation, 5).await;
    // The newest message is of a clock that was an hour ahead.
    let sql = world.sql().await;
    sqlx::query("UPDATE conversations SET last_at = last_at + interval '1 hour'")
        .execute(&sql)
        .await
        .unwrap();

    let later = send_many(&store, &pair.patient, conversation, 2).await;

    assert_in_order(&[together, later].concat());
}

#[tokio::test]
async fn a_poisoned_message_fails_alone() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    // Past every check at the edges: Postgres itself refuses a NUL.
    let poison = NewMessage {
        key: Key::fresh(),
        content: Content::stored(MessageKind::Text, "a\0b".to_owned(), None),
    };
    let target = Target::Conversation(conversation);

    let appended = store
        .append(
            &pair.patient,
            target,
            vec![new("1"), poison.clone(), new("2")],
            Origin::default(),
        )
        .await
        .unwrap();
    let alone = send(&store, &pair.patient, conversation, poison).await;

    let places: Vec<_> = appended
        .results
        .iter()
        .map(|item| item.as_ref().map(|item| item.message.seq.0).ok())
        .collect();
    assert_eq!(places, [Some(1), None, Some(2)]);
    assert!(matches!(alone, Err(ChatError::Internal(_))));
}

#[tokio::test]
async fn strangers_and_other_apps_are_refused() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let stranger = world.caller(Role::Patient);
    let elsewhere = World::new().await;
    let mut foreign = pair.patient.clone();
    foreign.app = elsewhere.apps.get(&elsewhere.id).unwrap().clone();

    let by_stranger = send(&store, &stranger, conversation, new("x")).await;
    let from_elsewhere = send(&store, &foreign, conversation, new("x")).await;

    assert!(matches!(by_stranger, Err(ChatError::NotParticipant)));
    assert!(matches!(
        from_elsewhere,
        Err(ChatError::ConversationNotFound)
    ));
}

#[tokio::test]
async fn a_message_to_a_booking_makes_its_conversation() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let pair = world.pair(&store).await;
    let by_booking = Target::Either(pair.booking.as_str().to_owned());
    let unknown = Target::Either(uuid::Uuid::new_v4().to_string());
    let stranger = world.caller(Role::Patient);
    let one = || vec![new("x")];
    let origin = Origin::default;

    let first = store
        .append(&pair.patient, by_booking.clone(), one(), origin())
        .await
        .unwrap();
    let second = store
        .append(&pair.consultant, by_booking.clone(), one(), origin())
        .await
        .unwrap();
    let missing = store.append(&pair.patient, unknown, one(), origin()).await;
    let foreign = store.append(&stranger, by_booking, one(), origin()).await;

    assert_eq!(first.conversation.id, second.conversation.id);
    assert_eq!(second.conversation.last_seq, Seq(2));
    assert!(matches!(missing, Err(ChatError::ConversationNotFound)));
    assert!(matches!(foreign, Err(ChatError::NotParticipant)));
}

#[tokio::test]
async fn what_is_stored_is_told_to_both_sides_with_its_origin() {
    let world = World::new().await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let (pair, conversation) = world.talk(&store).await;
    let origin = Origin {
        socket: "g1/7".into(),
        traceparent: "00-1-2-01".to_owned(),
    };

    let appended = store
        .append(
            &pair.patient,
            Target::Conversation(conversation),
            vec![keyed("k", "hello")],
            origin.clone(),
        )
        .await
        .unwrap();

    let [event] = &ear.events()[..] else {
        panic!("one event")
    };
    assert_eq!(event.app, world.id);
    assert_eq!(event.origin, origin);
    assert_eq!(event.epoch, appended.epoch);
    assert_eq!(event.targets.len(), 2);
    let Fact::MessageAppended(told, message) = &event.fact else {
        panic!("a message")
    };
    assert_eq!(told.last_seq, Seq(1));
    assert_eq!(*message, appended.results[0].as_ref().unwrap().message);
}

#[tokio::test]
async fn a_request_has_between_one_and_64_messages() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let append = |count: usize| {
        store.append(
            &pair.patient,
            Target::Conversation(conversation),
            vec![new("x"); count],
            Origin::default(),
        )
    };

    assert!(matches!(append(0).await, Err(ChatError::Malformed(_))));
    assert!(append(App::MAX_APPEND).await.is_ok());
    assert!(matches!(
        append(App::MAX_APPEND + 1).await,
        Err(ChatError::TooLarge(_))
    ));
}

#[tokio::test]
async fn system_messages_are_unread_for_the_client_and_idempotent() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let key = chat_domain::ClientKey::new("k").unwrap();
    let target = || Target::Booking(pair.booking.clone());
    send(&store, &pair.consultant, conversation, keyed("k", "mine"))
        .await
        .unwrap();

    let first = store
        .post_system_message(&world.id, target(), "reminder", Some(key.clone()))
        .await
        .unwrap();
    let again = store
        .post_system_message(&world.id, target(), "reminder", Some(key))
        .await
        .unwrap();

    assert_eq!(first.message.content.kind(), MessageKind::System);
    assert_eq!(first.message.client_key, None);
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(store.unread(&pair.patient, conversation).await.unwrap(), 2);
    assert_eq!(
        store.unread(&pair.consultant, conversation).await.unwrap(),
        0
    );
}
