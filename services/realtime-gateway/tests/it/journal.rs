//! What a gateway notes of messages on their way to sockets, one cause after the other.

use chat_domain::{AppId, ConversationId, Participant, Revocation, Revoked, Role, Subject, UserId};
use chat_proto::{
    WireId as _, subject,
    v1::{self, NoteKind, NotePlace, NoteWay, envelope::Body},
};
use futures_util::StreamExt as _;
use prost::Message as _;
use serde_json::json;

use crate::chat::{Client, DEADLINE, Fate, World, message, token_of};

/// Hears what gateways note of one user.
struct Notebook<'a> {
    world: &'a World,
    app: AppId,
    user: UserId,
    heard: async_nats::Subscriber,
    notes: Vec<v1::Note>,
    /// The last number.
    number: u64,
}

impl<'a> Notebook<'a> {
    async fn new(world: &'a World, app: &str, user: &UserId) -> Self {
        let app = AppId::new(app).unwrap();
        let heard = world.listen(&subject::journal(&app, user)).await;
        Self {
            world,
            app,
            user: user.clone(),
            heard,
            notes: Vec::new(),
            number: 0,
        }
    }

    /// Waits for a note that `wanted` accepts.
    async fn find(&mut self, wanted: impl Fn(&v1::Note) -> bool) -> v1::Note {
        loop {
            if let Some(note) = self.notes.iter().find(|note| wanted(note)) {
                return note.clone();
            }
            let heard = tokio::time::timeout(DEADLINE, self.heard.next()).await;
            let payload = heard.expect("the note comes in time");
            let notes = v1::Notes::decode(payload.unwrap().payload).unwrap();
            let own = notes
                .users
                .into_iter()
                .filter(|of| of.app == self.app.as_str() && of.user_id == self.user.as_str());
            let own: Vec<_> = own.flat_map(|of| of.notes).collect();
            if !own.is_empty() {
                assert!(self.number < notes.number, "they are numbered");
                self.number = notes.number;
            }
            self.notes.extend(own);
        }
    }

    async fn kind(&mut self, kind: NoteKind, seq: u64) -> v1::Note {
        self.find(|note| note.kind() == kind && note.seq == seq)
            .await
    }

    /// Asks where the user's sockets stand.
    async fn locate(&self, conversation: ConversationId) {
        let conversation_id = conversation.to_wire();
        let body = Body::Locate(v1::Locate { conversation_id });
        self.world.tell(&self.app, &self.user, body).await;
    }
}

#[tokio::test]
async fn a_message_that_the_transport_took_is_noted_with_its_socket() {
    let world = World::new().await;
    let conversation = world.converse();
    let mut notebook = Notebook::new(&world, "consult", &world.patient).await;
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world.store.post(conversation, &world.consultant, "x").await;
    patient.expect("new_message").await;

    notebook.locate(conversation).await;

    let stands = notebook.kind(NoteKind::Stands, 1).await;
    let came = notebook.kind(NoteKind::Came, 0).await;
    let written = notebook.kind(NoteKind::Written, 1).await;
    assert_eq!(written.way(), NoteWay::Event);
    assert_eq!(written.conversation_id, conversation.to_wire());
    assert_eq!(
        (came.socket, stands.socket),
        (written.socket, written.socket)
    );
    assert_eq!((came.is_back, stands.place()), (false, NotePlace::Known));
    assert_eq!(came.socket_id, stands.socket_id);
    drop(patient);
    let went = notebook.kind(NoteKind::Went, 0).await;
    assert_eq!(went.reason, "transport_closed");
    assert_eq!((went.socket, went.began_ms), (came.socket, came.began_ms));
}

#[tokio::test]
async fn a_lost_event_shows_by_what_was_held_and_fetched() {
    let world = World::new().await;
    let conversation = world.converse();
    let mut notebook = Notebook::new(&world, "consult", &world.patient).await;
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world.store.fates.lock().extend([Fate::Publish, Fate::Lose]);

    for content in ["told", "lost", "next"] {
        world
            .store
            .post(conversation, &world.consultant, content)
            .await;
    }
    for _ in 0..3 {
        patient.expect("new_message").await;
    }

    let lost = notebook.kind(NoteKind::Written, 2).await;
    assert_eq!(lost.way(), NoteWay::Repair);
    notebook.kind(NoteKind::Held, 3).await;
    let told = notebook.kind(NoteKind::Written, 1).await;
    assert_eq!(told.way(), NoteWay::Event);
}

#[tokio::test]
async fn an_event_that_nobody_missed_yet_shows_by_where_the_socket_stands() {
    let world = World::new().await;
    let conversation = world.converse();
    let mut notebook = Notebook::new(&world, "consult", &world.patient).await;
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world.store.post(conversation, &world.consultant, "x").await;
    patient.expect("new_message").await;
    world.store.fates.lock().push_back(Fate::Lose);
    world
        .store
        .post(conversation, &world.consultant, "lost")
        .await;

    notebook.locate(conversation).await;

    let stands = notebook.kind(NoteKind::Stands, 1).await;
    assert_eq!(stands.place(), NotePlace::Known);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_noted_and_so_is_what_it_gets_later() {
    let world = World::new().await;
    let conversation = world.converse();
    let mut notebook = Notebook::new(&world, "consult", &world.patient).await;
    let gateway = world.gateway().await;
    let mut slow = world.connect_patient(&gateway).await;
    let long = "x".repeat(4_000);
    let last = 2_000;

    // Several times what may wait for a client, and more than the kernel takes.
    for _ in 0..last {
        world
            .store
            .post(conversation, &world.consultant, &long)
            .await;
    }

    notebook.kind(NoteKind::NoRoom, last).await;
    notebook.locate(conversation).await;
    notebook
        .find(|note| note.kind() == NoteKind::Stands && note.place() == NotePlace::Behind)
        .await;
    notebook.find(|note| note.kind() == NoteKind::Waiting).await;
    for _ in 0..last {
        slow.wait_for("new_message").await;
    }
    let written = notebook.kind(NoteKind::Written, last).await;
    assert_eq!(written.way(), NoteWay::Refill);
}

#[tokio::test]
async fn a_socket_that_did_not_join_is_noted_where_that_matters() {
    let world = World::new().await;
    let (owner, client) = (World::user(), World::user());
    let sides = [
        Participant::new(owner.clone(), Role::Business),
        Participant::new(client.clone(), Role::Client),
    ];
    let booking = chat_domain::SubjectId::new("b-journal").unwrap();
    let conversation = world
        .store
        .begin("booking", Subject::Booking(booking), sides);
    let mut notebook = Notebook::new(&world, "booking", &owner).await;
    let gateway = world.gateway().await;
    let token = token_of("booking", owner.as_str(), "business");
    let _outside = Client::connect_to(gateway.address, "/", &token).await;

    world.store.post(conversation, &client, "x").await;

    notebook.kind(NoteKind::NotHeard, 1).await;
    notebook.locate(conversation).await;
    let stands = notebook.kind(NoteKind::Stands, 1).await;
    assert_eq!(stands.place(), NotePlace::Outside);
}

#[tokio::test]
async fn a_revoked_token_is_noted_as_why_the_socket_is_gone() {
    let world = World::new().await;
    let mut notebook = Notebook::new(&world, "consult", &world.patient).await;
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    let revoked = Revoked::User {
        user: world.patient.clone(),
        issued_until: service_kit::now(),
    };
    let revocation = Revocation {
        app: AppId::new("consult").unwrap(),
        revoked,
        expires_at: None,
    };

    world.store.revoke(revocation, true).await;

    patient.wait_for("error").await;
    let went = notebook.kind(NoteKind::Went, 0).await;
    assert_eq!(went.reason, "revoked");
}

#[tokio::test]
async fn what_was_not_said_is_said_when_the_gateway_ends() {
    let world = World::new().await;
    let conversation = world.converse();
    let mut notebook = Notebook::new(&world, "consult", &world.patient).await;
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    world.store.post(conversation, &world.consultant, "x").await;
    patient.expect("new_message").await;

    gateway.drain().await;

    notebook.kind(NoteKind::Written, 1).await;
    let went = notebook.kind(NoteKind::Went, 0).await;
    assert_eq!(went.reason, "draining");
}

#[tokio::test]
async fn nothing_that_was_written_is_noted() {
    let world = World::new().await;
    let conversation = world.converse();
    let app = AppId::new("consult").unwrap();
    let mut heard = world.listen(&subject::journal(&app, &world.patient)).await;
    let gateway = world.gateway().await;
    let mut patient = world.connect_patient(&gateway).await;
    let secret = "where it hurts";
    let sending = message(conversation, secret, "patient");
    let ack = patient.ask("send_message", &sending).await;
    assert_eq!(ack["event"], json!("message_sent"));

    let mut is_noted = false;
    while !is_noted {
        let payload = tokio::time::timeout(DEADLINE, heard.next()).await.unwrap();
        let payload = payload.unwrap().payload;
        assert!(!String::from_utf8_lossy(&payload).contains(secret));
        let notes = v1::Notes::decode(payload).unwrap();
        let mut all = notes.users.iter().flat_map(|of| &of.notes);
        is_noted = all.any(|note| note.kind() == NoteKind::Written && note.seq == 1);
    }
}
