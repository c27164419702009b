//! Conversations of pairs and of booked businesses: who may have one, by what the directory says now.

use chat_domain::{ConversationId, Direction, PageRequest, Role, Seq, SubjectId, UserId};
use chat_proto::{WireId as _, subject::Rpc, v1};
use chat_store::{
    app::{App, Caller, Member, sweep_outbox},
    ports::{Fact, Origin},
};
use futures_util::future::join_all;

use crate::{
    rpc::Asked,
    world::{Ear, World, send_to},
};

fn id(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

/// What becomes of a message, in the words of the protocol.
async fn told(store: &App, caller: &Caller, target: &str) -> String {
    match send_to(store, caller, target, "hello").await {
        Ok(_) => "sent".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn texts(store: &App, caller: &Caller, conversation: ConversationId) -> Vec<String> {
    let page = PageRequest::new(Direction::After(Seq(0)), 200).unwrap();
    let (_, messages) = store.page(caller, conversation, page).await.unwrap();
    let text = |message: &chat_domain::Message| message.content.text().to_owned();
    messages.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_have_one_conversation_whoever_writes_first() {
    for dialect in ["care", "clinic"] {
        let world = World::speaking(dialect, "").await;
        let stores = [
            world.store(Ear::deaf()).await,
            world.store(Ear::deaf()).await,
        ];
        let [doctor, patient] = match dialect {
            "care" => world.associated(&stores[0], "doc", "anna").await,
            _ => [
                world.user(&stores[0], "a@c.org", Role::Admin).await,
                world.user(&stores[0], "b@c.org", Role::Doctor).await,
            ],
        };

        let writers = (0..40).map(|writer| {
            let store = stores[writer % 2].clone();
            let (from, to) = if writer % 3 == 0 {
                (&doctor, &patient)
            } else {
                (&patient, &doctor)
            };
            let (from, to) = (from.clone(), to.user.id.clone());
            tokio::spawn(async move {
                let sent = send_to(&store, &from, to.as_str(), "x").await.unwrap();
                sent.conversation.id
            })
        });
        let ids: Vec<_> = join_all(writers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();

        assert!(ids.iter().all(|id| *id == ids[0]), "{dialect}");
        let found = stores[0].conversation(&patient, ids[0]).await.unwrap();
        assert_eq!(found.last_seq, Seq(40));
        // The professional first; of equals the smaller id.
        assert_eq!(found.participants[0].user, doctor.user.id);
    }
}

#[tokio::test]
async fn who_may_not_write_is_told_why() {
    let world = World::speaking("care", "").await;
    let store = world.store(Ear::deaf()).await;
    let [doctor, patient] = world.associated(&store, "doc", "anna").await;
    let other = world.user(&store, "ben", Role::Patient).await;

    for (from, to, text) in [
        (&patient, "doc", "sent"),
        (&doctor, "anna", "sent"),
        (&patient, "nobody", "One or both users not found"),
        (
            &patient,
            "ben",
            "Patients can only chat with doctors and vice versa",
        ),
        (
            &patient,
            "anna",
            "Patients can only chat with doctors and vice versa",
        ),
        (&other, "doc", "Doctor and patient are not associated"),
        (&doctor, "ben", "Doctor and patient are not associated"),
        (&patient, "", "UserId is not valid"),
    ] {
        assert_eq!(told(&store, from, to).await, text, "to {to:?}");
    }

    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let ada = world.user(&store, "ada@c.org", Role::Doctor).await;
    world.user(&store, "bob@c.org", Role::Admin).await;
    for (to, text) in [
        ("bob@c.org", "sent"),
        ("Bob@C.org", "sent"),
        ("ADA@c.org", "Cannot send message to yourself"),
        ("eve@c.org", "One or both users not found"),
    ] {
        assert_eq!(told(&store, &ada, to).await, text, "to {to:?}");
    }

    let world = World::speaking("booking", "").await;
    let store = world.store(Ear::deaf()).await;
    let [owner, client] = world.booked(&store).await;
    let stranger = world.user(&store, "eve", Role::Client).await;
    for (from, to, text) in [
        (&owner, "b-1", "sent"),
        (&client, "b-1", "sent"),
        (&stranger, "b-1", "Unauthorized"),
        (&client, "b-2", "Booking not found"),
    ] {
        assert_eq!(told(&store, from, to).await, text, "to {to:?}");
    }
}

#[tokio::test]
async fn somebody_unknown_to_the_directory_enters_it_with_its_first_message() {
    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let bob = world.user(&store, "bob@c.org", Role::Admin).await;
    let mut ada = world.caller(Role::Doctor);
    ada.user.id = id("ada@c.org");

    assert_eq!(
        told(&store, &bob, "ada@c.org").await,
        "One or both users not found"
    );
    assert_eq!(told(&store, &ada, "bob@c.org").await, "sent");
    assert_eq!(told(&store, &bob, "ada@c.org").await, "sent");
}

#[tokio::test]
async fn who_is_not_associated_any_more_reads_what_there_is_and_nothing_else() {
    let world = World::speaking("care", "").await;
    let store = world.store(Ear::deaf()).await;
    let [doctor, patient] = world.associated(&store, "doc", "anna").await;
    let sent = send_to(&store, &patient, "doc", "before").await.unwrap();
    let conversation = sent.conversation.id;
    let end = async |version| {
        let ended = store.remove_association(&world.id, id("doc"), id("anna"), version);
        ended.await.unwrap();
    };
    let refused = "Doctor and patient are not associated";

    end(Some(2)).await;
    let opened = store.open_pair(&doctor, &id("anna")).await.unwrap_err();
    let read = store
        .read_peer(Member::from(&doctor), &id("anna"), Origin::default())
        .await
        .unwrap_err();

    assert_eq!(told(&store, &patient, "doc").await, refused);
    assert_eq!([opened.to_string(), read.to_string()], [refused, refused]);
    assert_eq!(texts(&store, &doctor, conversation).await, ["before"]);
    // An older version that comes late changes nothing; a newer one does.
    for (version, outcome) in [(1, refused), (3, "sent")] {
        store
            .put_association(&world.id, id("doc"), id("anna"), Some(version))
            .await
            .unwrap();
        assert_eq!(told(&store, &patient, "doc").await, outcome);
    }
}

#[tokio::test]
async fn a_business_that_is_given_away_is_written_to_by_its_new_owner() {
    let world = World::speaking("booking", "").await;
    let store = world.store(Ear::deaf()).await;
    let [old, client] = world.booked(&store).await;
    let new = world.user(&store, "new-owner", Role::Business).await;
    let before = send_to(&store, &client, "b-1", "to the old one")
        .await
        .unwrap();
    let old_id = before.conversation.id;

    world.assign(&store, "new-owner").await;

    assert_eq!(told(&store, &old, "b-1").await, "Unauthorized");
    assert_eq!(
        told(&store, &old, &old_id.to_string()).await,
        "Unauthorized"
    );
    assert_eq!(told(&store, &new, "b-1").await, "sent");
    // Also what still names the old conversation.
    let after = send_to(&store, &client, &old_id.to_string(), "to the new one")
        .await
        .unwrap();
    assert_ne!(after.conversation.id, old_id);
    assert!(after.conversation.participant(&new.user.id).is_some());
    let unread = [before.results[0].as_ref().unwrap().message.id];
    let read = store.read_anywhere(Member::from(&old), &unread, Origin::default());
    assert_eq!(read.await.unwrap(), []);
    assert_eq!(texts(&store, &old, old_id).await, ["to the old one"]);
}

#[tokio::test]
async fn everything_of_a_peer_is_read_at_once_and_told() {
    let world = World::speaking("care", "").await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let [doctor, patient] = world.associated(&store, "doc", "anna").await;
    for text in ["1", "2", "3"] {
        send_to(&store, &patient, "doc", text).await.unwrap();
    }
    send_to(&store, &doctor, "anna", "mine").await.unwrap();
    let read = async || {
        let member = Member::from(&doctor);
        let marked = store
            .read_peer(member, &id("anna"), Origin::default())
            .await;
        let marked = marked.unwrap();
        marked
            .iter()
            .map(|one| one.received.ids.len())
            .sum::<usize>()
    };
    let conversation = store.open_pair(&doctor, &id("anna")).await.unwrap().id;

    assert_eq!(read().await, 3);
    assert_eq!(read().await, 0);

    assert_eq!(store.unread(&doctor, conversation).await.unwrap(), 0);
    assert_eq!(store.unread(&patient, conversation).await.unwrap(), 1);
    let reads = ear
        .events()
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::MessagesReceived { received, .. } => Some(received.ids.len()),
            Fact::MessageAppended(..) => None,
        });
    assert_eq!(reads.collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn messages_are_read_wherever_they_are_but_not_those_of_others() {
    let world = World::speaking("clinic", "").await;
    let store = world.store(Ear::deaf()).await;
    let mut all = Vec::new();
    for name in ["ada", "bob", "eve"] {
        all.push(
            world
                .user(&store, &format!("{name}@c.org"), Role::Doctor)
                .await,
        );
    }
    let [ada, bob, eve] = all.try_into().unwrap();
    let mut ids = Vec::new();
    for (from, to) in [
        (&bob, "ada@c.org"),
        (&eve, "ada@c.org"),
        (&eve, "bob@c.org"),
        (&ada, "bob@c.org"),
    ] {
        let sent = send_to(&store, from, to, "x").await.unwrap();
        ids.push(sent.results[0].as_ref().unwrap().message.id);
    }

    let marked = store
        .read_anywhere(Member::from(&ada), &ids, Origin::default())
        .await
        .unwrap();

    let mut read: Vec<_> = marked
        .into_iter()
        .flat_map(|one| one.received.ids)
        .collect();
    read.sort();
    assert_eq!(read, [ids[0], ids[1]]);
}

#[tokio::test]
async fn people_come_with_their_names_wherever_a_dialect_shows_them() {
    let world = World::speaking("booking", "").await;
    let ear = Ear::new();
    let store = world.store(ear.clone()).await;
    let [owner, client] = world.booked(&store).await;
    let names = |conversation: &chat_domain::Conversation| {
        let side = |side: &chat_domain::Participant| {
            let name = side.name.as_deref().unwrap_or("-").to_owned();
            format!("{name} <{}>", side.email.as_deref().unwrap_or("-"))
        };
        conversation.participants.each_ref().map(side)
    };
    let expected = [
        "Name of owner <owner@example.org>",
        "Name of client <client@example.org>",
    ];

    let sent = send_to(&store, &client, "b-1", "x").await.unwrap();
    let opened = store
        .open_booking(&owner, &SubjectId::new("b-1").unwrap())
        .await
        .unwrap();
    let (ranged, _) = store.range(&world.id, opened.id, Seq(0), 10).await.unwrap();
    // As if nobody had been told.
    let pg = world.pg_of(1).await;
    let sql = world.sql().await;
    sqlx::query("UPDATE outbox SET due_at = now() - interval '1 minute'")
        .execute(&sql)
        .await
        .unwrap();
    sweep_outbox(&pg, &pg, ear.as_ref()).await.unwrap();

    for shown in [&sent.conversation, &opened, &ranged] {
        assert_eq!(names(shown), expected);
    }
    let events = ear.events();
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::MessageAppended(conversation, _) => Some(names(conversation)),
            Fact::MessagesReceived { .. } => None,
        })
        .collect();
    assert_eq!(told, [expected, expected]);
}

#[tokio::test]
async fn gateways_open_by_peer_or_booking_and_read_by_peer_or_message() {
    let world = World::speaking("care", "").await;
    let store = world.store(Ear::deaf()).await;
    let [doctor, patient] = world.associated(&store, "doc", "anna").await;
    let sent = send_to(&store, &patient, "doc", "x").await.unwrap();
    let message = sent.results[0].as_ref().unwrap().message.id;
    let asked = Asked::new(&store).await;
    let open = v1::OpenConversationRequest {
        app: world.id.as_str().to_owned(),
        caller: Some((&doctor.user).into()),
        place: Some(v1::open_conversation_request::Place::PeerId(
            "anna".to_owned(),
        )),
        ..v1::OpenConversationRequest::default()
    };
    let by_booking = v1::OpenConversationRequest {
        place: Some(v1::open_conversation_request::Place::BookingId(
            "b".to_owned(),
        )),
        ..open.clone()
    };
    let read = |what| v1::ReadRequest {
        app: world.id.as_str().to_owned(),
        user_id: "doc".to_owned(),
        what: Some(what),
        ..v1::ReadRequest::default()
    };
    let ids = ["temp-1".to_owned(), message.to_string()].to_vec();
    let by_id = read(v1::read_request::What::Messages(v1::MessageIds { ids }));
    let by_peer = read(v1::read_request::What::PeerId("anna".to_owned()));

    let opened: v1::OpenConversationReply = asked.ask(Rpc::OpenConversation, &open).await.unwrap();
    let refused = asked.ask::<v1::OpenConversationReply>(Rpc::OpenConversation, &by_booking);
    let marked: v1::ReadReply = asked.ask(Rpc::Read, &by_id).await.unwrap();
    let again: v1::ReadReply = asked.ask(Rpc::Read, &by_peer).await.unwrap();

    assert_eq!(
        opened.conversation.unwrap().id,
        sent.conversation.id.to_wire()
    );
    assert_eq!(refused.await.unwrap_err().to_string(), "Booking not found");
    assert_eq!(marked.received[0].message_ids, [message.to_wire()]);
    assert_eq!(again.received, []);
}
