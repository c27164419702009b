//! What the consult dialect takes from clients, and what it says to the rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{
    ClientKey, ConversationId, ErrorKind, MessageId, MessageKind, Place, Role, Seq, User, UserId,
};
use dialects::{Command, MarkRead, Rejection, Send, consult};
use proptest::prelude::*;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

const CONVERSATION: &str = "0199a7de-0000-7000-8000-000000000001";
const MESSAGE: &str = "0199a7de-0001-7000-8000-000000000002";
const PATIENT: &str = "22222222-2222-4222-8222-22222222aaaa";
const STRANGER: &str = "99999999-9999-4999-8999-999999999999";
const JOIN_MISSING: &str = "Missing required fields: conversationId, userId, or userType";
const MISSING: &str = "Missing required fields";
const INVALID: &str = "Invalid data provided";
const NO_UUID: &str = "conversationId must be a UUID";

fn decode(name: &str, payload: &Value) -> Result<Option<Command>, Rejection> {
    consult::decode(name, Some(&raw(payload)), &patient())
}

fn raw(payload: &Value) -> Box<RawValue> {
    to_raw_value(payload).unwrap()
}

fn patient() -> User {
    User {
        id: UserId::new(PATIENT).unwrap(),
        role: Role::Patient,
        name: None,
        email: None,
        avatar_url: None,
    }
}

fn conversation() -> ConversationId {
    ConversationId::parse(CONVERSATION).unwrap()
}

fn text(text: &str) -> Send {
    Send {
        target: CONVERSATION.to_owned(),
        kind: MessageKind::Text,
        text: text.to_owned(),
        attachment: None,
        client_key: None,
    }
}

#[test]
fn the_protocols_events_are_taken() {
    let conversation = conversation();
    let join = json!({"conversationId": CONVERSATION, "userId": PATIENT, "userType": "patient"});
    let send = json!({"conversationId": CONVERSATION, "content": "hi", "senderType": "patient"});
    let place = Place::Conversation(conversation);
    let typing = |active| Command::Typing {
        place: place.clone(),
        active,
    };
    let joined = || Command::Join {
        place: place.clone(),
    };
    let message = MessageId::parse(MESSAGE).unwrap();

    for (name, payload, command) in [
        ("join_conversation", join.clone(), joined()),
        ("join_conversation", json!({"data": join}), joined()),
        (
            "join_conversation",
            json!({"conversationId": CONVERSATION.to_uppercase(), "userId": PATIENT.to_uppercase(), "userType": "patient"}),
            joined(),
        ),
        (
            "leave_conversation",
            json!({"conversationId": CONVERSATION}),
            Command::Leave { conversation },
        ),
        ("send_message", send.clone(), Command::Send(text("hi"))),
        (
            "send_message",
            json!({"data": send}),
            Command::Send(text("hi")),
        ),
        (
            "send_message",
            json!({"conversationId": CONVERSATION.to_uppercase(), "content": " ", "senderType": "patient",
                "consultantId": STRANGER, "fileUrl": "", "messageType": null, "clientMessageId": "k"}),
            Command::Send(Send {
                client_key: Some(ClientKey::new("k").unwrap()),
                ..text(" ")
            }),
        ),
        (
            "typing_start",
            json!({"conversationId": CONVERSATION, "userId": STRANGER}),
            typing(true),
        ),
        (
            "typing_stop",
            json!({"conversationId": CONVERSATION}),
            typing(false),
        ),
        (
            "mark_read",
            json!({"conversationId": CONVERSATION, "messageIds": [MESSAGE, MESSAGE]}),
            Command::MarkRead(MarkRead::In {
                conversation,
                ids: vec![message, message],
            }),
        ),
        (
            "sync",
            json!({"since": {CONVERSATION: 7}}),
            Command::Sync {
                since: vec![(place.clone(), Seq(7))],
            },
        ),
        (
            "auth:refresh",
            json!({"token": "t"}),
            Command::RefreshToken {
                token: "t".to_owned(),
            },
        ),
    ] {
        assert_eq!(
            decode(name, &payload),
            Ok(Some(command)),
            "{name} {payload}"
        );
    }
}

#[test]
fn a_file_comes_without_a_word() {
    let send = json!({"conversationId": CONVERSATION, "content": "", "senderType": "patient",
        "fileUrl": "https://files.example/a.png", "fileName": "a.png"});

    let Ok(Some(Command::Send(send))) = decode("send_message", &send) else {
        panic!("a file is a message");
    };

    assert_eq!((send.kind, send.text.as_str()), (MessageKind::File, ""));
    assert_eq!(send.attachment.unwrap().url, "https://files.example/a.png");
}

#[test]
fn unknown_events_are_none() {
    for name in ["", "connect", "Send_message", "call:ringing", "new_message"] {
        assert_eq!(decode(name, &json!({})), Ok(None), "{name}");
    }
}

#[test]
fn bad_payloads_are_rejected_with_the_protocols_texts() {
    let id = CONVERSATION;
    let send = |key: &str, value: Value| {
        let mut payload = json!({"conversationId": id, "content": "hi", "senderType": "patient"});
        payload[key] = value;
        payload
    };
    let mark = |ids: Value| json!({"conversationId": id, "messageIds": ids});

    for (name, payload, message) in [
        ("join_conversation", json!({}), JOIN_MISSING),
        (
            "join_conversation",
            json!({"conversationId": id, "userId": PATIENT}),
            JOIN_MISSING,
        ),
        (
            "join_conversation",
            json!({"conversationId": id, "userId": "", "userType": "patient"}),
            JOIN_MISSING,
        ),
        (
            "join_conversation",
            json!({"conversationId": null, "userId": PATIENT, "userType": "patient"}),
            JOIN_MISSING,
        ),
        (
            "join_conversation",
            json!({"conversationId": "abc", "userId": PATIENT, "userType": "patient"}),
            NO_UUID,
        ),
        (
            "join_conversation",
            json!({"conversationId": 7, "userId": PATIENT, "userType": "patient"}),
            INVALID,
        ),
        (
            "join_conversation",
            json!({"conversationId": {"$ne": 1}, "userId": [], "userType": "patient"}),
            INVALID,
        ),
        (
            "join_conversation",
            json!({"data": {"data": {"conversationId": id}}}),
            JOIN_MISSING,
        ),
        ("leave_conversation", json!({}), MISSING),
        (
            "leave_conversation",
            json!({"conversationId": "{0199a7de-0000-7000-8000-000000000001}"}),
            NO_UUID,
        ),
        ("send_message", send("content", json!("")), MISSING),
        ("send_message", send("content", json!(null)), MISSING),
        ("send_message", send("content", json!(["hi"])), INVALID),
        ("send_message", send("senderType", json!(null)), MISSING),
        ("send_message", send("conversationId", json!(null)), MISSING),
        ("send_message", send("conversationId", json!("x")), NO_UUID),
        (
            "send_message",
            send("messageType", json!("banana")),
            "unknown message type",
        ),
        (
            "send_message",
            send("fileUrl", json!("javascript:alert(1)")),
            "fileUrl is not valid",
        ),
        (
            "send_message",
            send("clientMessageId", json!("x".repeat(65))),
            "clientMessageId is not valid",
        ),
        ("send_message", send("clientMessageId", json!(5)), INVALID),
        ("typing_start", json!({"userId": PATIENT}), MISSING),
        ("typing_stop", json!({"conversationId": "x"}), NO_UUID),
        ("mark_read", json!({"messageIds": [MESSAGE]}), INVALID),
        ("mark_read", json!({"conversationId": id}), INVALID),
        ("mark_read", mark(json!([])), INVALID),
        ("mark_read", mark(json!("x")), INVALID),
        ("mark_read", mark(json!([1])), INVALID),
        ("mark_read", mark(json!(["x"])), INVALID),
        ("mark_read", mark(json!(vec![MESSAGE; 501])), INVALID),
        ("sync", json!({}), INVALID),
        ("sync", json!({"since": {}}), INVALID),
        ("sync", json!({"since": {"x": 1}}), INVALID),
        ("sync", json!({"since": {CONVERSATION: -1}}), INVALID),
        ("sync", json!({"since": {CONVERSATION: u64::MAX}}), INVALID),
        ("sync", json!({"since": [1]}), INVALID),
        ("auth:refresh", json!({}), MISSING),
    ] {
        let rejection = decode(name, &payload).unwrap_err();

        assert_eq!(rejection.message, message, "{name} {payload}");
        assert_eq!(rejection.kind, ErrorKind::Invalid, "{name} {payload}");
        assert_eq!(rejection.event, name);
    }
}

#[test]
fn payloads_that_are_no_objects_are_invalid() {
    for name in EVENTS {
        for payload in [
            json!(null),
            json!(1),
            json!([]),
            json!([CONVERSATION]),
            json!("x"),
            json!(true),
        ] {
            assert_eq!(decode(name, &payload).unwrap_err().kind, ErrorKind::Invalid);
        }
        assert!(consult::decode(name, None, &patient()).is_err());
    }
}

#[test]
fn nobody_joins_or_sends_as_somebody_else() {
    for (name, payload) in [
        (
            "join_conversation",
            json!({"conversationId": CONVERSATION, "userId": STRANGER, "userType": "patient"}),
        ),
        (
            "join_conversation",
            json!({"conversationId": CONVERSATION, "userId": PATIENT, "userType": "consultant"}),
        ),
        (
            "send_message",
            json!({"conversationId": CONVERSATION, "content": "hi", "senderType": "consultant"}),
        ),
    ] {
        let rejection = decode(name, &payload).unwrap_err();

        assert_eq!(rejection.kind, ErrorKind::Unauthorized, "{name} {payload}");
    }
}

#[test]
fn commands_print_neither_messages_nor_tokens() {
    let send = Command::Send(text("secret"));
    let refresh = Command::RefreshToken {
        token: "secret".to_owned(),
    };

    assert!(!format!("{send:?} {refresh:?}").contains("secret"));
}

const EVENTS: [&str; 15] = [
    "join_conversation",
    "leave_conversation",
    "send_message",
    "typing_start",
    "typing_stop",
    "mark_read",
    "sync",
    "auth:refresh",
    "call:initiate",
    "call:accept",
    "call:reject",
    "call:end",
    "webrtc:offer",
    "webrtc:answer",
    "webrtc:ice-candidate",
];

proptest! {
    #[test]
    fn no_payload_panics(name in prop::sample::select(&EVENTS[..]), payload in payload()) {
        let _ = decode(name, &payload);
    }

    #[test]
    fn what_is_sent_is_what_was_said(content in "\\PC{1,40}") {
        let payload = json!({"conversationId": CONVERSATION, "content": content, "senderType": "patient"});

        prop_assert_eq!(decode("send_message", &payload), Ok(Some(Command::Send(text(&content)))));
    }
}

/// Any JSON, most of it objects with the fields of the protocol.
fn payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(Value::from(CONVERSATION)),
        Just(Value::from(PATIENT)),
        Just(Value::from("patient")),
    ];
    let key = prop_oneof![
        "(conversationId|userId|userType|senderType|content|messageType|data)",
        "(fileUrl|fileName|clientMessageId|messageIds|since|token|__proto__)",
        "(toUserId|callId|callType|reason|offer|answer|candidate)",
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
