//! Conversations: made once, seen by their two sides, listed by their last change.

use std::sync::Arc;

use chat_domain::{ChatError, Role, Seq, SubjectId, Timestamp};
use chat_store::{
    app::{App, Target},
    ports::Origin,
};
use futures_util::future::join_all;

use crate::world::{Ear, World, new, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_has_one_conversation_however_many_open_it() {
    let world = World::new().await;
    let stores = [
        world.store(Ear::deaf()).await,
        world.store(Ear::deaf()).await,
    ];
    let pair = Arc::new(world.pair(&stores[0]).await);

    let openers = (0..50).map(|opener| {
        let (store, pair) = (stores[opener % 2].clone(), Arc::clone(&pair));
        tokio::spawn(async move {
            if opener % 3 == 0 {
                let target = Target::Booking(pair.booking.clone());
                let sent = store
                    .append(&pair.consultant, target, vec![new("x")], Origin::default())
                    .await;
                return sent.unwrap().conversation.id;
            }
            pair.open(&store).await.id
        })
    });
    let ids: Vec<_> = join_all(openers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    assert!(ids.iter().all(|id| *id == ids[0]));
    let found = stores[0].conversation(&pair.patient, ids[0]).await.unwrap();
    assert_eq!(found.last_seq, Seq(17));
    let sql = world.sql().await;
    for (table, rows) in [("conversations", 1), ("participants", 2)] {
        let count = format!("SELECT count(*) FROM {table}");
        let counted: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&sql)
            .await
            .unwrap();
        assert_eq!(counted, rows, "{table}");
    }
}

#[tokio::test]
async fn only_the_two_of_a_booking_open_its_conversation() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let pair = world.pair(&store).await;
    let other = world.pair(&store).await;
    let stranger = world.caller(Role::Patient);
    let (consultant, patient) = (&pair.consultant.user.id, &pair.patient.user.id);
    let open = |caller, booking: &SubjectId| {
        store.open_conversation(caller, consultant.clone(), patient.clone(), booking.clone())
    };
    let unknown = SubjectId::new("unknown").unwrap();

    let by_stranger = open(&stranger, &pair.booking).await;
    let foreign = open(&pair.patient, &other.booking).await;
    let missing = open(&pair.patient, &unknown).await;

    assert!(matches!(by_stranger, Err(ChatError::NotParticipant)));
    assert!(matches!(foreign, Err(ChatError::Forbidden(_))));
    assert!(matches!(missing, Err(ChatError::BookingNotFound)));
}

#[tokio::test]
async fn a_conversation_shows_itself_to_its_sides_alone() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    let stranger = world.caller(Role::Consultant);
    let unknown = chat_domain::ConversationId(uuid::Uuid::now_v7());

    let found = store.conversation(&pair.consultant, id).await.unwrap();

    assert_eq!(
        found.user_in_role(Role::Consultant),
        Some(&pair.consultant.user.id)
    );
    assert_eq!(
        found.user_in_role(Role::Patient),
        Some(&pair.patient.user.id)
    );
    let errors = [
        store.conversation(&stranger, id).await.unwrap_err(),
        store.unread(&stranger, id).await.unwrap_err(),
    ];
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, ChatError::NotParticipant))
    );
    let errors = [
        store.conversation(&stranger, unknown).await.unwrap_err(),
        store.unread(&stranger, unknown).await.unwrap_err(),
    ];
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, ChatError::ConversationNotFound))
    );
}

#[tokio::test]
async fn what_changed_last_is_listed_first() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (first, first_id) = world.talk(&store).await;
    // The same patient with two more consultants.
    let mut ids = vec![first_id];
    for _ in 0..2 {
        let mut next = world.pair(&store).await;
        next.patient = first.patient.clone();
        store
            .put_booking(&world.id, next.as_booking(), None)
            .await
            .unwrap();
        ids.push(next.open(&store).await.id);
    }
    send(&store, &first.patient, ids[1], new("x"))
        .await
        .unwrap();

    let listed = store.list_conversations(&first.patient, 2).await.unwrap();
    let opened = store
        .open_session(&world.id, &first.patient.user)
        .await
        .unwrap();

    let listed: Vec<_> = listed.iter().map(|conversation| conversation.id).collect();
    assert_eq!(listed, [ids[1], ids[2]]);
    let heads = [(ids[1], Seq(1)), (ids[2], Seq(0)), (ids[0], Seq(0))];
    let places = opened.heads.iter();
    let places: Vec<_> = places
        .map(|head| (head.conversation, head.last_seq))
        .collect();
    assert_eq!(places, heads);
    assert!(opened.complete);
    let asked = store.heads(&world.id, &ids).await.unwrap();
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn an_app_may_open_conversations_around_the_appointment_only() {
    let world =
        World::with_policy("policy.time_window = { before_minutes = 30, after_minutes = 60 }")
            .await;
    let store = world.store(Ear::deaf()).await;
    let (pair, id) = world.talk(&store).await;
    let plan = async |store: &App, minutes: i64| {
        let mut booking = pair.as_booking();
        booking.starts_at = Some(Timestamp(service_kit::now().0 + minutes * 60_000));
        store.put_booking(&world.id, booking, None).await.unwrap();
    };

    plan(&store, 40).await;
    let early = send(&store, &pair.patient, id, new("x")).await.unwrap_err();
    plan(&store, 20).await;
    let inside = send(&store, &pair.patient, id, new("x")).await;
    plan(&store, -61).await;
    let late = send(&store, &pair.patient, id, new("x")).await.unwrap_err();
    let opened = store
        .open_conversation(
            &pair.patient,
            pair.consultant.user.id.clone(),
            pair.patient.user.id.clone(),
            pair.booking.clone(),
        )
        .await;

    assert_eq!(
        early.to_string(),
        "Conversation can only be started 30 minutes before the appointment. \
         Please wait 10 more minute(s)."
    );
    assert!(inside.is_ok());
    assert!(
        late.to_string()
            .starts_with("The conversation window has expired.")
    );
    assert!(matches!(opened, Err(ChatError::WindowExpired)));
}
