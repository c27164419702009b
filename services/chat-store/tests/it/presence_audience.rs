//! Who hears of somebody's presence, by dialect.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use chat_domain::{Presence, PresenceChange, Role, Status, Timestamp};
use chat_store::{
    app::{Caller, presence::Announcer},
    ports::{Answer, Sink as _},
    ports_out::{OutEvent, Outgoing},
    ports_presence::{Attended, PresenceNotifier, Telling},
};
use parking_lot::Mutex;

use crate::world::{Ear, World, send_to};

/// Notes who was told what.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl PresenceNotifier for Told {
    fn tell<'a>(&'a self, told: &'a [Telling<'a>]) -> Answer<'a, ()> {
        for one in told {
            let mut audience: Vec<_> = one.audience.iter().map(ToString::to_string).collect();
            audience.sort();
            let name = one.name.as_deref().unwrap_or("-");
            let text = format!("{} ({name}) to {}", one.about.user, audience.join(" "));
            self.0.lock().push(text);
        }
        Box::pin(async { Ok(()) })
    }
}

impl Outgoing for Told {
    fn put<'a>(&'a self, _events: &'a [OutEvent]) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Returns who hears that somebody came, and that it went.
async fn announced(world: &World, who: &Caller) -> Vec<String> {
    let told = Arc::new(Told::default());
    let announcer = Announcer::new(
        Arc::new(world.pg_of(1).await),
        told.clone(),
        told.clone(),
        world.apps.clone(),
    );
    let online = Presence::Online(Status::Available);
    for (was, now) in [(Presence::Offline, online), (online, Presence::Offline)] {
        let attended = Attended {
            app: world.id.clone(),
            user: who.user.id.clone(),
            change: PresenceChange {
                was,
                now,
                at: Timestamp(1),
            },
        };
        announcer.take(&[attended]).await.unwrap();
    }
    let told = told.0.lock();
    told.clone()
}

#[tokio::test]
async fn in_care_whoever_is_associated_hears_of_it_with_or_without_a_conversation() {
    let world = World::speaking("care", "").await;
    let store = world.store(Ear::deaf()).await;
    let [doctor, patient] = world.associated(&store, "doc", "anna").await;
    world.associated(&store, "doc", "ben").await;
    world.user(&store, "eve", Role::Patient).await;
    let ended = world.associated(&store, "doc", "zoe").await;
    send_to(&store, &ended[1], "doc", "hello").await.unwrap();
    let (of, with) = (doctor.user.id.clone(), ended[1].user.id.clone());
    store
        .remove_association(&world.id, of, with, None)
        .await
        .unwrap();

    assert_eq!(
        announced(&world, &doctor).await,
        ["doc (-) to anna ben", "doc (-) to anna ben"]
    );
    assert_eq!(
        announced(&world, &patient).await,
        ["anna (-) to doc", "anna (-) to doc"]
    );
}

#[tokio::test]
async fn in_a_clinic_whoever_exchanged_a_message_hears_of_it_and_oneself() {
    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let ada = world.user(&store, "ada@c.org", Role::Doctor).await;
    world.user(&store, "bob@c.org", Role::Admin).await;
    let eve = world.user(&store, "eve@c.org", Role::Admin).await;
    send_to(&store, &ada, "bob@c.org", "hello").await.unwrap();
    // Typing alone opens a conversation, and makes nobody a contact.
    store.open_pair(&ada, &eve.user.id).await.unwrap();

    assert_eq!(
        announced(&world, &ada).await,
        [
            "ada@c.org (Name of ada@c.org) to ada@c.org bob@c.org",
            "ada@c.org (Name of ada@c.org) to bob@c.org",
        ]
    );
}
