//! The dialects of the root namespace: what their clients say and hear.

use chat_domain::{ConversationId, Participant, Role, Subject, SubjectId, UserId};
use serde_json::{Value, json};

use crate::chat::{Client, Gateway, Heard, World, sign, token_of};

/// Two people of an app, and the conversation of theirs.
pub(crate) struct Pair {
    app: &'static str,
    pub(crate) one: String,
    pub(crate) other: String,
    roles: [Role; 2],
    conversation: ConversationId,
}

impl Pair {
    fn new(world: &World, app: &'static str, roles: [Role; 2], booking: Option<&str>) -> Self {
        let name = |role: Role| format!("{}-{}@example.org", role.as_str(), World::user());
        let (one, other) = (name(roles[0]), name(roles[1]));
        let conversation = converse(world, app, [(&one, roles[0]), (&other, roles[1])], booking);
        Self {
            app,
            one,
            other,
            roles,
            conversation,
        }
    }

    async fn connect_one(&self, gateway: &Gateway) -> Client {
        connect(gateway, self.app, &self.one, self.roles[0]).await
    }

    pub(crate) async fn connect_other(&self, gateway: &Gateway) -> Client {
        connect(gateway, self.app, &self.other, self.roles[1]).await
    }
}

fn converse(
    world: &World,
    app: &str,
    sides: [(&str, Role); 2],
    booking: Option<&str>,
) -> ConversationId {
    let sides = sides.map(|(id, role)| Participant {
        name: Some(format!("A {}", role.as_str()).into()),
        email: Some(id.into()),
        ..Participant::new(UserId::new(id).unwrap(), role)
    });
    let subject = booking.map_or(Subject::Pair, |booking| {
        Subject::Booking(SubjectId::new(booking).unwrap())
    });
    world.store.begin(app, subject, sides)
}

async fn connect(gateway: &Gateway, app: &str, user: &str, role: Role) -> Client {
    let token = token_of(app, user, role.as_str());
    Client::connect_to(gateway.address, "/", &token).await
}

fn care(world: &World) -> Pair {
    Pair::new(world, "care", [Role::Doctor, Role::Patient], None)
}

pub(crate) fn clinic(world: &World) -> Pair {
    Pair::new(world, "clinic", [Role::Doctor, Role::Admin], None)
}

#[tokio::test]
async fn a_message_of_care_reaches_all_devices_of_both_and_ends_typing() {
    let world = World::new().await;
    let pair = care(&world);
    let (near, far) = (world.gateway().await, world.gateway().await);
    let mut doctor = pair.connect_one(&far).await;
    let mut tablet = pair.connect_other(&far).await;
    let mut patient = pair.connect_other(&near).await;

    let message = json!({
        "receiverId": pair.one, "content": "Hello doctor!", "messageType": "text",
        "fileUrl": null, "fileName": null,
    });
    patient.emit("send_message", &message).await;

    let sent = patient.wait_for("message_sent").await["message"].clone();
    assert_eq!(sent["content"], "Hello doctor!");
    assert_eq!(sent["sender"]["_id"], *pair.other);
    assert_eq!(sent["receiver"]["fullname"], "A doctor");
    assert_eq!(doctor.expect("new_message").await["message"], sent);
    let stopped = doctor.expect("typing_stopped").await;
    assert_eq!(stopped["userId"], *pair.other);
    assert_eq!(tablet.expect("new_message").await["message"], sent);
}

#[tokio::test]
async fn typing_in_care_reaches_the_other_and_tells_strangers_nothing() {
    let world = World::new().await;
    let pair = care(&world);
    let stranger = care(&world);
    let gateway = world.gateway().await;
    let mut doctor = pair.connect_one(&gateway).await;
    let mut patient = pair.connect_other(&gateway).await;

    let to = json!({ "receiverId": pair.one });
    patient.emit("typing_start", &to).await;
    assert_eq!(doctor.expect("typing_start").await["userId"], *pair.other);
    patient.emit("typing_stop", &to).await;
    assert_eq!(doctor.expect("typing_stopped").await["userId"], *pair.other);

    let to = json!({ "receiverId": stranger.one });
    patient.emit("typing_start", &to).await;
    patient.expect_silence().await;
}

#[tokio::test]
async fn reading_in_care_tells_the_sender() {
    let world = World::new().await;
    let pair = care(&world);
    let gateway = world.gateway().await;
    let mut doctor = pair.connect_one(&gateway).await;
    let mut patient = pair.connect_other(&gateway).await;
    let message = json!({ "receiverId": pair.one, "content": "Read me" });
    patient.emit("send_message", &message).await;
    let sent = patient.wait_for("message_sent").await;
    doctor.expect("new_message").await;
    doctor.expect("typing_stopped").await;

    let answer = doctor
        .ask("mark_read", &json!({ "senderId": pair.other }))
        .await;

    assert_eq!(answer["event"], "mark_read");
    let read = patient.wait_for("messages_read").await;
    assert_eq!(read["userId"], *pair.one);
    assert_eq!(read["messageIds"], json!([sent["message"]["_id"]]));
    doctor.expect_silence().await;
}

#[tokio::test]
async fn a_client_of_care_that_comes_back_has_what_it_missed() {
    let world = World::new().await;
    let pair = care(&world);
    let gateway = world.gateway().await;
    let token = token_of("care", &pair.one, "doctor");
    let auth = format!(r#"{{"token":"{token}"}}"#);
    let (mut doctor, answer) = Client::attempt(gateway.address, "/", &auth, "").await;
    let answer: Value = serde_json::from_str(answer.strip_prefix("40").unwrap()).unwrap();
    let pid = answer["pid"].as_str().unwrap();
    let sender = UserId::new(&pair.other).unwrap();
    world.store.post(pair.conversation, &sender, "one").await;
    doctor.expect("new_message").await;
    doctor.expect("typing_stopped").await;
    let offset = doctor.offset().unwrap();
    drop(doctor);
    world.store.post(pair.conversation, &sender, "two").await;

    let auth = format!(r#"{{"token":"{token}","pid":"{pid}","offset":"{offset}"}}"#);
    let (mut doctor, _) = Client::attempt(gateway.address, "/", &auth, "").await;

    let missed = doctor.expect("new_message").await;
    assert_eq!(missed["message"]["content"], "two");
}

#[tokio::test]
async fn a_message_of_a_clinic_reaches_every_tab_but_the_one_that_sent_it() {
    let world = World::new().await;
    let pair = clinic(&world);
    let (near, far) = (world.gateway().await, world.gateway().await);
    let mut doctor = pair.connect_one(&far).await;
    let mut second_tab = pair.connect_other(&near).await;
    let mut admin = pair.connect_other(&near).await;

    let message = json!({ "receiver_email": pair.one.to_uppercase(), "content": " Hello " });
    for _ in 0..2 {
        admin.emit("send_message", &message).await;
        let sent = admin.expect("message_sent_confirmed").await;
        assert_eq!(sent["sender_email"], *pair.other);
        assert_eq!(sent["receiver_email"], *pair.one);
        assert_eq!(sent["content"], "Hello");
        assert_eq!(doctor.expect("receive_message").await, sent);
        assert_eq!(second_tab.expect("receive_message").await, sent);
    }
}

#[tokio::test]
async fn who_joins_a_clinic_is_who_its_token_says() {
    let world = World::new().await;
    let pair = clinic(&world);
    let gateway = world.gateway().await;
    let mut doctor = pair.connect_one(&gateway).await;

    doctor
        .emit("user_joined", &json!({ "email": pair.one.to_uppercase() }))
        .await;
    assert_eq!(doctor.expect("user_online").await["email"], *pair.one);

    doctor
        .emit("user_joined", &json!({ "email": pair.other }))
        .await;
    assert_eq!(doctor.expect("error").await["code"], "unauthorized");
}

#[tokio::test]
async fn typing_and_reading_in_a_clinic_reach_the_other() {
    let world = World::new().await;
    let pair = clinic(&world);
    let gateway = world.gateway().await;
    let mut doctor = pair.connect_one(&gateway).await;
    let mut admin = pair.connect_other(&gateway).await;

    let typing = json!({ "receiver_email": pair.other, "is_typing": true });
    doctor.emit("user_typing", &typing).await;
    let heard = admin.expect("user_typing").await;
    assert_eq!(
        heard,
        json!({ "sender_email": pair.one, "is_typing": true })
    );

    let message = json!({ "receiver_email": pair.other, "content": "Hello" });
    let ack = doctor.ask("send_message", &message).await;
    assert_eq!(ack, Value::Null, "an acknowledgement has no argument");
    let received = admin.expect("receive_message").await;
    admin
        .emit(
            "mark_message_read",
            &json!({ "message_id": received["id"] }),
        )
        .await;
    let receipt = doctor.wait_for("message_read_receipt").await;
    assert_eq!(receipt["message_id"], received["id"]);
}

#[tokio::test]
async fn a_socket_hears_of_the_bookings_alone_that_it_joined() {
    let world = World::new().await;
    let pair = Pair::new(
        &world,
        "booking",
        [Role::Business, Role::Client],
        Some("b-1"),
    );
    let sides = [(&*pair.one, Role::Business), (&*pair.other, Role::Client)];
    converse(&world, "booking", sides, Some("b-2"));
    let (near, far) = (world.gateway().await, world.gateway().await);
    let mut owner = pair.connect_one(&far).await;
    let mut client = pair.connect_other(&near).await;

    owner.emit("joinBooking", &json!("b-1")).await;
    let joined = owner.expect("joinedBooking").await;
    assert_eq!(joined, json!({ "ok": true, "bookingId": "b-1" }));
    for booking in ["b-2", "b-1"] {
        let message = json!({ "bookingId": booking, "content": booking, "senderType": "client" });
        let ack = client.ask("sendMessage", &message).await;
        assert_eq!(ack["ok"], true);
        assert_eq!(ack["message"]["booking"], *booking);
    }

    let heard = owner.expect("newMessage").await;
    assert_eq!(heard["booking"], "b-1");
    assert_eq!(heard["sender"]["name"], "A client");
    client.expect_silence().await;
}

#[tokio::test]
async fn a_booking_client_that_comes_back_has_what_it_missed_where_it_joined() {
    let world = World::new().await;
    let pair = Pair::new(
        &world,
        "booking",
        [Role::Business, Role::Client],
        Some("b-3"),
    );
    let sides = [(&*pair.one, Role::Business), (&*pair.other, Role::Client)];
    let other = converse(&world, "booking", sides, Some("b-4"));
    let gateway = world.gateway().await;
    let token = token_of("booking", &pair.one, "business");
    let auth = format!(r#"{{"token":"{token}"}}"#);
    let (mut owner, answer) = Client::attempt(gateway.address, "/", &auth, "").await;
    let answer: Value = serde_json::from_str(answer.strip_prefix("40").unwrap()).unwrap();
    let pid = answer["pid"].as_str().unwrap();
    owner.emit("joinBooking", &json!("b-3")).await;
    owner.expect("joinedBooking").await;
    let offset = owner.offset().unwrap();
    drop(owner);
    let sender = UserId::new(&pair.other).unwrap();
    world.store.post(other, &sender, "elsewhere").await;
    world.store.post(pair.conversation, &sender, "here").await;

    let auth = format!(r#"{{"token":"{token}","pid":"{pid}","offset":"{offset}"}}"#);
    let (mut owner, answer) = Client::attempt(gateway.address, "/", &auth, "").await;

    assert!(answer.contains(pid), "recovered: {answer}");
    assert_eq!(owner.expect("newMessage").await["content"], "here");
    owner.expect_silence().await;
}

#[tokio::test]
async fn reading_about_a_booking_is_told_to_everybody_in_its_room() {
    let world = World::new().await;
    let pair = Pair::new(
        &world,
        "booking",
        [Role::Business, Role::Client],
        Some("b-5"),
    );
    let gateway = world.gateway().await;
    let mut owner = pair.connect_one(&gateway).await;
    let mut client = pair.connect_other(&gateway).await;
    for socket in [&mut owner, &mut client] {
        socket.emit("joinBooking", &json!("b-5")).await;
        socket.expect("joinedBooking").await;
    }
    let message = json!({ "bookingId": "b-5", "content": "Hi" });
    client.emit("sendMessage", &message).await;
    let id = owner.expect("newMessage").await["_id"].clone();

    let ack = owner
        .ask("markAsRead", &json!({ "messageIds": [id] }))
        .await;

    assert_eq!(ack, json!({ "ok": true, "messageIds": [id] }));
    let read = client.wait_for("messagesMarkedAsRead").await;
    assert_eq!(read["messageIds"], json!([id]));
}

#[tokio::test]
async fn what_fails_about_a_booking_is_told_in_both_ways() {
    let world = World::new().await;
    let pair = Pair::new(
        &world,
        "booking",
        [Role::Business, Role::Client],
        Some("b-6"),
    );
    let gateway = world.gateway().await;
    let mut owner = pair.connect_one(&gateway).await;
    let mut stranger = connect(&gateway, "booking", "stranger", Role::Client).await;

    for (payload, text) in [
        (json!("none"), "Booking not found"),
        (json!("b-6"), "Unauthorized"),
    ] {
        // Whether the conversation is known already makes no difference.
        owner.emit("joinBooking", &json!("b-6")).await;
        owner.expect("joinedBooking").await;
        stranger.emit("joinBooking", &payload).await;
        assert_eq!(stranger.expect("error").await["message"], text);
        assert_eq!(stranger.expect("socketError").await["message"], text);
    }
    let ack = stranger.ask("joinBooking", &json!("none")).await;
    assert_eq!(ack["ok"], false);
    assert_eq!(ack["message"], "Booking not found");
}

#[tokio::test]
async fn apps_with_the_same_people_and_event_names_hear_nothing_of_each_other() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let both = ["doctor@example.org", "peer@example.org"];
    converse(
        &world,
        "care",
        [(both[0], Role::Doctor), (both[1], Role::Patient)],
        None,
    );
    converse(
        &world,
        "clinic",
        [(both[0], Role::Doctor), (both[1], Role::Admin)],
        None,
    );
    let mut in_care = connect(&gateway, "care", both[0], Role::Doctor).await;
    let mut in_clinic = connect(&gateway, "clinic", both[0], Role::Doctor).await;
    let mut care_peer = connect(&gateway, "care", both[1], Role::Patient).await;
    let mut clinic_peer = connect(&gateway, "clinic", both[1], Role::Admin).await;

    let message = json!({ "receiverId": both[0], "content": "of care" });
    care_peer.emit("send_message", &message).await;
    care_peer.wait_for("message_sent").await;
    let message = json!({ "receiver_email": both[0], "content": "of the clinic" });
    clinic_peer.emit("send_message", &message).await;
    clinic_peer.wait_for("message_sent_confirmed").await;

    let heard = in_care.expect("new_message").await;
    assert_eq!(heard["message"]["content"], "of care");
    in_care.expect("typing_stopped").await;
    in_care.expect_silence().await;
    let heard = in_clinic.expect("receive_message").await;
    assert_eq!(heard["content"], "of the clinic");
    in_clinic.expect_silence().await;
    // The other app's words mean nothing.
    care_peer
        .emit(
            "send_message",
            &json!({ "receiver_email": both[0], "content": "x" }),
        )
        .await;
    assert_eq!(care_peer.wait_for("error").await["code"], "invalid");
}

#[tokio::test]
async fn each_app_has_its_namespace_and_its_words_for_a_bad_token() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let refused = async |namespace: &str, token: &str| {
        let auth = format!(r#"{{"token":"{token}"}}"#);
        let (_, answer) = Client::attempt(gateway.address, namespace, &auth, "").await;
        let (_, json) = answer.split_at(answer.find('{').unwrap());
        let body: Value = serde_json::from_str(json).unwrap();
        (body["message"].clone(), body["data"]["code"].clone())
    };

    let care = token_of("care", "doc", "doctor");
    assert_eq!(refused("/chat", &care).await.0, "Invalid namespace");
    let consult = token_of("consult", &World::user().to_string(), "patient");
    assert_eq!(refused("/", &consult).await.0, "Invalid namespace");
    for (app, role, text) in [
        ("booking", "client", "Authentication error"),
        ("care", "doctor", "Token expired"),
    ] {
        let expired = sign(app, &json!({ "sub": "me", "role": role, "exp": 1 }));
        let (message, code) = refused("/", &expired).await;
        assert_eq!((message, code), (json!(text), json!("token_expired")));
    }
}

#[tokio::test]
async fn hostile_payloads_of_every_event_leave_the_socket_usable() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    for (app, role, events) in [
        (
            "care",
            Role::Doctor,
            &["send_message", "typing_start", "mark_read", "set_status"][..],
        ),
        (
            "clinic",
            Role::Doctor,
            &[
                "user_joined",
                "send_message",
                "user_typing",
                "mark_message_read",
            ],
        ),
        (
            "booking",
            Role::Client,
            &["joinBooking", "sendMessage", "markAsRead", "sync"],
        ),
    ] {
        let mut client = connect(&gateway, app, "hostile@example.org", role).await;
        for event in events {
            for payload in [
                json!(null),
                json!([]),
                json!(7),
                json!({ "receiverId": {} }),
            ] {
                client.emit(event, &payload).await;
                let heard = client.hear().await;
                let Heard::Event(name, data) = heard else {
                    panic!("{app} {event} {payload}: {heard:?}");
                };
                assert_eq!(
                    (&*name, &data["code"]),
                    ("error", &json!("invalid")),
                    "{event}"
                );
                if app == "booking" {
                    client.expect("socketError").await;
                }
            }
        }
    }
}
