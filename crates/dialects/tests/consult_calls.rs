//! Calls in the consult dialect: what is taken from clients, and the JSON of what they are told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod held;

use chat_domain::{
    ConversationId, Dialect, ErrorKind, Role, User, UserId,
    call::{CallId, CallKind, Signal, SignalKind, Tell},
};
use dialects::{
    CallAction, CallCommand, Command, Rejection, ServerEvent,
    consult::{self, CallFacts},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use uuid::uuid;

const CONVERSATION: ConversationId = ConversationId(uuid!("0199a7de-0000-7000-8000-000000000001"));
const CALL: CallId = CallId(uuid!("0199a7de-0002-7000-8000-00000000000c"));
const CONSULTANT: &str = "11111111-1111-4111-8111-11111111aaaa";
const PATIENT: &str = "22222222-2222-4222-8222-22222222aaaa";
const MISSING: &str = "Missing required fields";
const INVALID: &str = "Invalid data provided";

const TELLS: [Tell; 11] = [
    Tell::Ringing,
    Tell::Incoming,
    Tell::Accepted,
    Tell::Connected,
    Tell::AnsweredElsewhere,
    Tell::DeclinedElsewhere,
    Tell::Rejected,
    Tell::Busy,
    Tell::NoAnswer,
    Tell::Missed,
    Tell::Ended,
];

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

fn consultant() -> UserId {
    UserId::new(CONSULTANT).unwrap()
}

fn signal(kind: SignalKind, payload: &str) -> CallAction {
    CallAction::Signal(Signal::new(kind, payload).unwrap())
}

fn with(mut payload: Value, key: &str, value: Value) -> Value {
    payload[key] = value;
    payload
}

#[test]
fn the_protocols_events_are_taken() {
    let to = json!({ "toUserId": CONSULTANT });
    let initiate = |kind: &str| json!({ "toUserId": CONSULTANT, "conversationId": CONVERSATION.to_string(), "callType": kind });
    let ring = |kind| CallAction::Initiate {
        conversation: CONVERSATION,
        kind,
    };

    for (name, payload, action) in [
        ("call:initiate", initiate("video"), ring(CallKind::Video)),
        ("call:initiate", initiate("audio"), ring(CallKind::Audio)),
        ("call:accept", to.clone(), CallAction::Accept),
        (
            "call:reject",
            to.clone(),
            CallAction::Reject { reason: None },
        ),
        (
            "call:reject",
            with(to.clone(), "reason", json!("Busy")),
            CallAction::Reject {
                reason: Some("Busy".to_owned()),
            },
        ),
        ("call:end", to.clone(), CallAction::End),
        (
            "webrtc:offer",
            with(
                to.clone(),
                "offer",
                json!({ "type": "offer", "sdp": "v=0\r\n" }),
            ),
            signal(SignalKind::Offer, r#"{"sdp":"v=0\r\n","type":"offer"}"#),
        ),
        (
            "webrtc:answer",
            with(to.clone(), "answer", json!({})),
            signal(SignalKind::Answer, "{}"),
        ),
        (
            "webrtc:ice-candidate",
            with(to.clone(), "candidate", json!({ "candidate": "" })),
            signal(SignalKind::Candidate, r#"{"candidate":""}"#),
        ),
    ] {
        for (payload, call) in [
            (payload.clone(), None),
            (with(payload.clone(), "callId", Value::Null), None),
            (
                with(payload, "callId", json!(CALL.to_string().to_uppercase())),
                Some(CALL),
            ),
        ] {
            let command = CallCommand {
                peer: consultant(),
                call,
                action: action.clone(),
            };

            assert_eq!(
                decode(name, &payload),
                Ok(Some(Command::Call(command))),
                "{name} {payload}"
            );
        }
    }
}

#[test]
fn what_is_signalled_stays_the_text_it_is() {
    let text =
        r#"{"toUserId":"11111111-1111-4111-8111-11111111AAAA","offer":{"b": 1.0, "a":"\u00e9"}}"#;
    let payload: Box<RawValue> = serde_json::from_str(text).unwrap();

    let Command::Call(command) = consult::decode("webrtc:offer", Some(&payload), &patient())
        .unwrap()
        .unwrap()
    else {
        panic!("not a call");
    };

    let offer = r#"{"b": 1.0, "a":"\u00e9"}"#;
    assert_eq!(command.action, signal(SignalKind::Offer, offer));
    let CallAction::Signal(offered) = &command.action else {
        panic!("not a signal");
    };
    let event = consult::signal(CALL, &consultant(), offered).unwrap();
    assert!(event.json.contains(offer), "{}", event.json);
}

#[test]
fn bad_payloads_are_rejected() {
    let to = json!({ "toUserId": CONSULTANT });
    let initiate = json!({ "toUserId": CONSULTANT, "conversationId": CONVERSATION.to_string(), "callType": "audio" });
    let change = |key, value| with(initiate.clone(), key, value);

    for (name, payload, message) in [
        ("call:initiate", to.clone(), MISSING),
        ("call:initiate", change("toUserId", json!(null)), MISSING),
        (
            "call:initiate",
            change("toUserId", json!("bob")),
            "toUserId must be a UUID",
        ),
        ("call:initiate", change("toUserId", json!(7)), INVALID),
        (
            "call:initiate",
            change("conversationId", json!("x")),
            "conversationId must be a UUID",
        ),
        (
            "call:initiate",
            change("callType", json!("fax")),
            "callType must be audio or video",
        ),
        ("call:initiate", change("callType", json!({})), INVALID),
        (
            "call:initiate",
            change("callId", json!("7")),
            "callId must be a UUID",
        ),
        ("call:accept", json!({}), MISSING),
        ("call:reject", with(to.clone(), "reason", json!(7)), INVALID),
        (
            "call:reject",
            with(to.clone(), "reason", json!("a\0b")),
            "reason must not contain a NUL character",
        ),
        ("call:end", json!({ "callId": CALL.to_string() }), MISSING),
        ("webrtc:offer", to.clone(), MISSING),
        (
            "webrtc:offer",
            with(to.clone(), "offer", json!(null)),
            MISSING,
        ),
        (
            "webrtc:offer",
            with(to.clone(), "offer", json!("v=0")),
            INVALID,
        ),
        (
            "webrtc:answer",
            with(to.clone(), "answer", json!([1])),
            INVALID,
        ),
        (
            "webrtc:ice-candidate",
            with(to, "candidate", json!(true)),
            INVALID,
        ),
    ] {
        let rejection = decode(name, &payload).unwrap_err();

        assert_eq!(rejection.message, message, "{name} {payload}");
        assert_eq!(rejection.kind, ErrorKind::Invalid, "{name} {payload}");
        assert_eq!(rejection.event, name);
    }
}

#[test]
fn signals_have_a_limit() {
    for (name, key, limit) in [
        ("webrtc:offer", "offer", Signal::MAX_DESCRIPTION),
        ("webrtc:answer", "answer", Signal::MAX_DESCRIPTION),
        ("webrtc:ice-candidate", "candidate", Signal::MAX_CANDIDATE),
    ] {
        let sized = |bytes: usize| {
            let filler = "x".repeat(bytes - r#"{"a":""}"#.len());
            json!({ "toUserId": CONSULTANT, key: { "a": filler } })
        };

        assert!(decode(name, &sized(limit)).is_ok(), "{name}");
        let rejection = decode(name, &sized(limit + 1)).unwrap_err();
        assert_eq!(rejection.kind, ErrorKind::TooLarge, "{name}");
    }
}

#[test]
fn commands_print_neither_reasons_nor_signals() {
    for (name, payload) in [
        (
            "call:reject",
            json!({ "toUserId": CONSULTANT, "reason": "secret" }),
        ),
        (
            "webrtc:offer",
            json!({ "toUserId": CONSULTANT, "offer": { "sdp": "secret" } }),
        ),
    ] {
        let command = decode(name, &payload).unwrap().unwrap();

        assert!(!format!("{command:?}").contains("secret"), "{name}");
    }
}

#[test]
fn everything_told_keeps_its_json() {
    let peer = consultant();

    let told: Vec<String> = TELLS
        .iter()
        .map(|tell| format!("{tell:?}\n{}", lines(&facts(&peer).events(*tell))))
        .collect();

    insta::assert_snapshot!("calls_told", told.join("\n"));
}

#[test]
fn a_reason_is_passed_on() {
    let peer = consultant();
    let facts = CallFacts {
        reason: Some("Declined"),
        ..facts(&peer)
    };

    let events = facts.events(Tell::Rejected);

    assert!(lines(&events).contains(r#""reason":"Declined""#));
}

#[test]
fn everything_signalled_keeps_its_json() {
    let signals = [SignalKind::Offer, SignalKind::Answer, SignalKind::Candidate].map(|kind| {
        let signal = Signal::new(kind, r#"{"sdp":"v=0"}"#).unwrap();
        consult::signal(CALL, &consultant(), &signal).unwrap()
    });

    insta::assert_snapshot!("calls_signalled", lines(&signals));
}

#[test]
fn a_signal_that_is_no_json_is_no_event() {
    let signal = Signal::new(SignalKind::Offer, r#"{"sdp""#).unwrap();

    assert_eq!(consult::signal(CALL, &consultant(), &signal), None);
}

fn facts(peer: &UserId) -> CallFacts<'_> {
    CallFacts {
        call: CALL,
        peer,
        conversation: CONVERSATION,
        kind: CallKind::Video,
        reason: None,
    }
}

fn lines(events: &[ServerEvent]) -> String {
    for event in events {
        held::hold(Dialect::Consult, event);
    }
    let line = |event: &ServerEvent| format!("  {} {}", event.name, event.json);
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}
