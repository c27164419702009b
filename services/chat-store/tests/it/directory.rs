//! The directory: the last version wins.

use chat_domain::{ChatError, Role};

use crate::world::{Ear, World};

#[tokio::test]
async fn an_older_version_changes_nothing_and_none_always_writes() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let mut user = world.caller(Role::Patient).user;
    let sql = world.sql().await;
    let mut seen = Vec::new();

    for (name, version) in [
        ("first", Some(5)),
        ("older", Some(4)),
        ("same", Some(5)),
        ("unversioned", None),
        ("older again", Some(4)),
        ("newer", Some(6)),
    ] {
        user.name = Some(name.to_owned());
        store
            .put_user(&world.id, user.clone(), version)
            .await
            .unwrap();
        let name: String = sqlx::query_scalar("SELECT name FROM users WHERE user_id = $1")
            .bind(user.id.as_str())
            .fetch_one(&sql)
            .await
            .unwrap();
        seen.push(name);
    }

    assert_eq!(
        seen,
        [
            "first",
            "first",
            "same",
            "unversioned",
            "unversioned",
            "newer"
        ]
    );
}

#[tokio::test]
async fn bookings_businesses_and_associations_are_versioned_too() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let pair = world.pair(&store).await;
    let (doctor, patient) = (
        pair.consultant.user.id.clone(),
        pair.patient.user.id.clone(),
    );
    let business = |name: &str| chat_domain::Business {
        id: doctor.clone(),
        owner: patient.clone(),
        name: name.to_owned(),
    };
    let sql = world.sql().await;

    for (status, version) in [("new", Some(2)), ("old", Some(1))] {
        let mut booking = pair.as_booking();
        booking.status = Some(status.to_owned());
        store
            .put_booking(&world.id, booking, version)
            .await
            .unwrap();
        store
            .put_business(&world.id, business(status), version)
            .await
            .unwrap();
        store
            .put_association(&world.id, doctor.clone(), patient.clone(), version)
            .await
            .unwrap();
    }

    let row: (String, String, i64) = sqlx::query_as(
        "SELECT bookings.status, businesses.name, associations.version
         FROM bookings, businesses, associations",
    )
    .fetch_one(&sql)
    .await
    .unwrap();
    assert_eq!(row, ("new".to_owned(), "new".to_owned(), 2));
}

#[tokio::test]
async fn a_token_does_not_overwrite_what_was_published() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let mut user = world.caller(Role::Patient).user;
    user.name = Some("published".to_owned());
    store
        .put_user(&world.id, user.clone(), Some(1))
        .await
        .unwrap();
    user.name = Some("claimed".to_owned());

    store.open_session(&world.id, &user).await.unwrap();

    let sql = world.sql().await;
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM users")
        .fetch_all(&sql)
        .await
        .unwrap();
    assert_eq!(names, ["published"]);
}

#[tokio::test]
async fn roles_are_those_of_the_dialect() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let doctor = world.caller(Role::Doctor).user;

    let put = store.put_user(&world.id, doctor.clone(), None).await;
    let opened = store.open_session(&world.id, &doctor).await;

    assert!(matches!(put, Err(ChatError::UnknownRole)));
    assert!(matches!(opened, Err(ChatError::UnknownRole)));
}
