//! Presence at a gateway: what comes in is told once, and what the stores forgot is said again.

use std::sync::atomic::Ordering;

use chat_domain::{Presence, PresenceChange, Status, Timestamp, UserId};
use chat_proto::{subject::Rpc, v1};
use serde_json::json;

use crate::chat::{World, eventually};

fn changed(user: &UserId, now: Presence, at: i64) -> v1::envelope::Body {
    let change = PresenceChange {
        was: Presence::Offline,
        now,
        at: Timestamp(at),
    };
    v1::envelope::Body::PresenceChanged((user, &change).into())
}

#[tokio::test]
async fn every_socket_hears_of_a_change_once_and_of_nothing_older() {
    let world = World::new().await;
    let (near, far) = (world.gateway().await, world.gateway().await);
    let mut sockets = [
        world.connect_patient(&near).await,
        world.connect_patient(&near).await,
        world.connect_patient(&far).await,
    ];
    let mut stranger = world.connect(&near, &World::user(), "patient").await;
    let (consultant, patient) = (&world.consultant, &world.patient);
    let away = changed(consultant, Presence::Online(Status::Away), 7);
    let older = changed(consultant, Presence::Online(Status::Available), 6);
    let later = changed(consultant, Presence::Offline, 8);

    for body in [away.clone(), away, older, later] {
        world.store.publish_to(patient, body).await;
    }

    let id = consultant.as_str();
    for socket in &mut sockets {
        assert_eq!(
            socket.expect("presence.changed").await,
            json!({"userId": id, "isOnline": true, "status": "away", "at": "1970-01-01T00:00:00.007Z"}),
        );
        let gone = socket.expect("presence.changed").await;
        assert_eq!(
            (&gone["isOnline"], &gone["status"]),
            (&json!(false), &json!("offline"))
        );
        socket.expect_silence().await;
    }
    stranger.expect_silence().await;
}

#[tokio::test]
async fn devices_are_announced_again_when_the_answer_to_a_sign_of_life_was_lost() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let _patient = world.connect_patient(&gateway).await;
    let store = &world.store;
    let announced = || store.calls.announced.lock().len();
    eventually(|| 1 <= announced() && 1 <= store.n_requests(Rpc::GatewayAlive)).await;
    let (before, beats) = (announced(), store.n_requests(Rpc::GatewayAlive));

    store.set_down(true);
    eventually(|| beats < store.n_requests(Rpc::GatewayAlive)).await;
    store.set_down(false);

    let is_again = || {
        let all = store.calls.announced.lock();
        all.iter().skip(before).any(|(_, _, itself)| *itself)
    };
    eventually(is_again).await;
}

#[tokio::test]
async fn devices_are_announced_again_when_the_stores_lost_them() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let _patient = world.connect_patient(&gateway).await;
    let announced = |how: (bool, bool)| {
        let all = world.store.calls.announced.lock();
        all.iter()
            .filter(|(_, again, itself)| (*again, *itself) == how)
            .count()
    };
    eventually(|| announced((false, false)) == 1).await;
    assert_eq!(announced((true, true)), 0);

    world.store.calls.forgets.store(true, Ordering::SeqCst);

    eventually(|| announced((true, true)) == 1).await;
    assert_eq!(announced((false, false)), 1);
}
