//! What other services say to a user's sockets.

use chat_proto::v1;
use serde_json::json;

use crate::chat::World;

fn notify(event: &str, data: &str) -> v1::envelope::Body {
    v1::envelope::Body::Notify(v1::Notify {
        event: event.to_owned(),
        data: data.to_owned(),
    })
}

#[tokio::test]
async fn every_socket_of_the_user_hears_it_and_nobody_else() {
    let world = World::new().await;
    let (near, far) = (world.gateway().await, world.gateway().await);
    let mut sockets = [
        world.connect_patient(&near).await,
        world.connect_patient(&near).await,
        world.connect_patient(&far).await,
    ];
    let mut stranger = world.connect(&near, &World::user(), "patient").await;

    let body = notify("booking:moved", r#"{"to":"Monday"}"#);
    world.store.publish_to(&world.patient, body).await;

    for socket in &mut sockets {
        let moved = socket.expect("booking:moved").await;
        assert_eq!(moved, json!({"to": "Monday"}));
        socket.expect_silence().await;
    }
    stranger.expect_silence().await;
}

#[tokio::test]
async fn what_would_pass_for_something_else_is_dropped() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut socket = world.connect_patient(&gateway).await;

    for (event, data) in [
        ("new_message", "{}"),
        ("disconnect", "{}"),
        ("a\",1,\"b", "{}"),
        ("moved", "{"),
        ("moved", "1],[2"),
    ] {
        world
            .store
            .publish_to(&world.patient, notify(event, data))
            .await;
    }
    world
        .store
        .publish_to(&world.patient, notify("last", "1"))
        .await;

    assert_eq!(socket.expect("last").await, json!(1));
    socket.expect_silence().await;
}
