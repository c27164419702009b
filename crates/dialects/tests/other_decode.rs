//! What the dialects care, clinic and booking take from clients, and what they say to the rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{
    ClientKey, ConversationId, Dialect, ErrorKind, MessageId, MessageKind, Place, Role, Seq,
    Status, SubjectId, User, UserId,
};
use dialects::{Command, MarkRead, Rejection, Send};
use proptest::prelude::*;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

const OURS: &str = "0199a7de-0000-7000-8000-000000000001";
const MESSAGE: &str = "0199a7de-0001-7000-8000-000000000002";
const BOOKING: &str = "507f1f77bcf86cd799439013";

fn decode(dialect: Dialect, name: &str, payload: &Value) -> Result<Option<Command>, Rejection> {
    dialects::decode(dialect, name, Some(&raw(payload)), &caller(dialect))
}

fn raw(payload: &Value) -> Box<RawValue> {
    to_raw_value(payload).unwrap()
}

fn caller(dialect: Dialect) -> User {
    let (id, role) = match dialect {
        Dialect::Consult | Dialect::Care => ("me", Role::Patient),
        Dialect::Clinic => ("me@clinic.com", Role::Doctor),
        Dialect::Booking => ("me", Role::Client),
    };
    User {
        id: UserId::new(id).unwrap(),
        role,
        name: None,
        email: None,
        avatar_url: None,
    }
}

fn peer(id: &str) -> Place {
    Place::Peer(UserId::new(id).unwrap())
}

fn booking() -> Place {
    Place::Booking(SubjectId::new(BOOKING).unwrap())
}

fn ours() -> Place {
    Place::Conversation(ConversationId::parse(OURS).unwrap())
}

fn message() -> MessageId {
    MessageId::parse(MESSAGE).unwrap()
}

fn text(target: &str, text: &str, key: Option<&str>) -> Command {
    Command::Send(Send {
        target: target.to_owned(),
        kind: MessageKind::Text,
        text: text.to_owned(),
        attachment: None,
        client_key: key.map(|key| ClientKey::new(key).unwrap()),
    })
}

fn typing(place: Place, active: bool) -> Command {
    Command::Typing { place, active }
}

#[test]
fn every_event_of_care_becomes_its_command() {
    assert_decoded(
        Dialect::Care,
        [
            (
                "send_message",
                json!({"receiverId": "doc", "content": "Hi", "messageType": "text", "fileUrl": null, "fileName": null}),
                text("doc", "Hi", None),
            ),
            (
                "typing_start",
                json!({"receiverId": "doc"}),
                typing(peer("doc"), true),
            ),
            (
                "typing_stop",
                json!({"receiverId": "doc"}),
                typing(peer("doc"), false),
            ),
            (
                "mark_read",
                json!({"senderId": "doc"}),
                Command::MarkRead(MarkRead::From(UserId::new("doc").unwrap())),
            ),
            (
                "set_status",
                json!({"status": "busy"}),
                Command::SetStatus(Status::Busy),
            ),
            (
                "sync",
                json!({"since": {"a_me": 1, "me_z": 2, OURS: 3}}),
                Command::Sync {
                    since: vec![(ours(), Seq(3)), (peer("a"), Seq(1)), (peer("z"), Seq(2))],
                },
            ),
        ],
    );
}

#[test]
fn every_event_of_a_clinic_becomes_its_command() {
    assert_decoded(
        Dialect::Clinic,
        [
            (
                "user_joined",
                json!({"email": "Me@Clinic.com"}),
                Command::Introduce,
            ),
            (
                "send_message",
                json!({"receiver_email": "Doc@clinic.com", "content": "Hi", "conversation_id": null, "client_message_id": "k"}),
                text("doc@clinic.com", "Hi", Some("k")),
            ),
            (
                "user_typing",
                json!({"receiver_email": "doc@clinic.com", "is_typing": true}),
                typing(peer("doc@clinic.com"), true),
            ),
            (
                "user_typing",
                json!({"receiver_email": "doc@clinic.com"}),
                typing(peer("doc@clinic.com"), false),
            ),
            (
                "mark_message_read",
                json!({"message_id": MESSAGE}),
                Command::MarkRead(MarkRead::Messages(vec![message()])),
            ),
            (
                "mark_message_read",
                json!({"message_id": "no-such-id"}),
                Command::MarkRead(MarkRead::Messages(Vec::new())),
            ),
        ],
    );
}

#[test]
fn every_event_of_booking_becomes_its_command() {
    assert_decoded(
        Dialect::Booking,
        [
            (
                "joinBooking",
                json!(BOOKING),
                Command::Join { place: booking() },
            ),
            (
                "sendMessage",
                json!({"bookingId": BOOKING, "content": "Hi", "senderType": "client", "clientMessageId": "k"}),
                text(BOOKING, "Hi", Some("k")),
            ),
            (
                "markAsRead",
                json!({"messageIds": [MESSAGE, "507f1f77bcf86cd799439014"]}),
                Command::MarkRead(MarkRead::Messages(vec![message()])),
            ),
            (
                "sync",
                json!({"since": {BOOKING: 4}}),
                Command::Sync {
                    since: vec![(booking(), Seq(4))],
                },
            ),
            (
                "auth:refresh",
                json!({"token": "t"}),
                Command::RefreshToken {
                    token: "t".to_owned(),
                },
            ),
        ],
    );
}

fn assert_decoded<const N: usize>(dialect: Dialect, table: [(&str, Value, Command); N]) {
    for (name, payload, command) in table {
        let decoded = decode(dialect, name, &payload).unwrap();

        assert!(decoded == Some(command), "{name} {payload}: {decoded:?}");
    }
}

#[test]
fn what_is_wrong_with_an_event_is_said_in_the_words_of_its_dialect() {
    use Dialect::{Booking, Care, Clinic};

    let care_send = "Receiver ID and content are required";
    let clinic_send = "Invalid message data";
    let booking_send = "bookingId and content are required";
    for (dialect, name, payload, message) in [
        (
            Care,
            "send_message",
            json!({"receiverId": "doc"}),
            care_send,
        ),
        (
            Care,
            "send_message",
            json!({"receiverId": "doc", "content": "  "}),
            care_send,
        ),
        (Care, "send_message", json!(null), care_send),
        (
            Care,
            "set_status",
            json!({"status": "gone"}),
            "status must be available, busy or away",
        ),
        (Care, "mark_read", json!([]), "Sender ID is required"),
        (Clinic, "user_joined", json!({}), "Email required"),
        (
            Clinic,
            "send_message",
            json!({"receiver_email": "a@b.c", "content": " "}),
            clinic_send,
        ),
        (Clinic, "send_message", json!("text"), clinic_send),
        (Booking, "joinBooking", json!({}), "bookingId is required"),
        (
            Booking,
            "sendMessage",
            json!({"bookingId": BOOKING}),
            booking_send,
        ),
        (
            Booking,
            "markAsRead",
            json!({"messageIds": []}),
            "messageIds array is required",
        ),
        (
            Booking,
            "sync",
            json!({"since": {}}),
            "Invalid data provided",
        ),
    ] {
        let rejection = decode(dialect, name, &payload).unwrap_err();

        assert_eq!(rejection.message, message, "{name} {payload}");
        assert_eq!(rejection.kind, ErrorKind::Invalid, "{name} {payload}");
    }
}

#[test]
fn nobody_speaks_for_somebody_else() {
    for (dialect, name, payload) in [
        (
            Dialect::Clinic,
            "user_joined",
            json!({"email": "other@clinic.com"}),
        ),
        (
            Dialect::Booking,
            "sendMessage",
            json!({"bookingId": BOOKING, "content": "Hi", "senderType": "business"}),
        ),
    ] {
        let rejection = decode(dialect, name, &payload).unwrap_err();

        assert_eq!(rejection.kind, ErrorKind::Unauthorized, "{name}");
    }
}

#[test]
fn events_of_other_dialects_are_unknown() {
    for (dialect, name) in [
        (Dialect::Care, "join_conversation"),
        (Dialect::Care, "call:initiate"),
        (Dialect::Care, "user_joined"),
        (Dialect::Clinic, "mark_read"),
        (Dialect::Clinic, "sendMessage"),
        (Dialect::Booking, "send_message"),
        (Dialect::Booking, "typing_start"),
    ] {
        assert_eq!(decode(dialect, name, &json!({})), Ok(None), "{name}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("receiverId".to_owned()),
        Just("senderId".to_owned()),
        Just("content".to_owned()),
        Just("receiver_email".to_owned()),
        Just("message_id".to_owned()),
        Just("bookingId".to_owned()),
        Just("messageIds".to_owned()),
        Just("since".to_owned()),
        "[a-z]{0,4}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_payload_is_taken_or_refused(
        payload in any_json(),
        dialect in prop_oneof![
            Just(Dialect::Care),
            Just(Dialect::Clinic),
            Just(Dialect::Booking),
        ],
    ) {
        for name in [
            "send_message", "typing_start", "typing_stop", "mark_read", "set_status", "sync",
            "auth:refresh", "user_joined", "user_typing", "mark_message_read", "joinBooking",
            "sendMessage", "markAsRead",
        ] {
            let _ = decode(dialect, name, &payload);
        }
    }
}
