//! Packets, rule by rule, and against `serde_json` reading the whole.

use proptest::{collection::vec, prelude::*};
use serde_json::Value;

use super::*;
use crate::proptest::{event_name, json, namespace};

fn parse(text: &str) -> Packet<'_> {
    Packet::parse(text).unwrap()
}

fn refusal(text: &str) -> PacketError {
    Packet::parse(text).unwrap_err()
}

fn payload<'a>(packet: &Packet<'a>) -> Option<&'a str> {
    packet.payload.map(RawValue::get)
}

#[test]
fn a_connect_may_have_credentials() {
    let bare = parse("0");
    let full = parse(r#"0/admin,{"token":"abc"}"#);

    assert_eq!(
        (bare.kind, bare.namespace, payload(&bare)),
        (PacketType::Connect, "/", None)
    );
    assert_eq!(
        (full.namespace, payload(&full)),
        ("/admin", Some(r#"{"token":"abc"}"#))
    );
}

#[test]
fn the_query_of_a_namespace_is_cut_off() {
    assert_eq!(parse("0/admin?token=1234&uid=abcd,").namespace, "/admin");
    assert_eq!(parse("0/admin?token").namespace, "/admin");
    assert_eq!(parse("0/?token,").namespace, "/");
}

#[test]
fn a_namespace_needs_no_comma_when_nothing_follows() {
    assert_eq!(parse("1/admin").namespace, "/admin");
    assert_eq!(parse("1/admin,").namespace, "/admin");
}

#[test]
fn an_event_is_split_into_name_and_arguments() {
    let packet = parse(r#"2/chat,12[ "a\u0062" , {"x": [1, 2]}, null ]"#);

    let event = packet.event().unwrap();

    let args: Vec<&str> = event.args.iter().map(|arg| arg.get()).collect();
    assert_eq!((packet.namespace, packet.ack_id), ("/chat", Some(12)));
    assert_eq!(event.name, "ab");
    assert_eq!(args, [r#"{"x": [1, 2]}"#, "null"]);
}

#[test]
fn the_type_is_known() {
    for text in ["", "7", "abc", "/", "-1"] {
        assert_eq!(refusal(text), PacketError::UnknownType);
    }
}

#[test]
fn an_event_is_an_array_that_begins_with_a_name() {
    for text in [
        "2",
        "2{}",
        r#"2"a""#,
        "2[]",
        "2[1]",
        "2[{}]",
        "2[null]",
        "2/chat",
        r#"2["\ud800"]"#,
    ] {
        assert_eq!(refusal(text), PacketError::UnexpectedPayload, "{text}");
    }
}

#[test]
fn an_event_has_no_reserved_name() {
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        "\\u0063onnect",
    ] {
        assert_eq!(
            refusal(&format!(r#"2["{name}"]"#)),
            PacketError::ReservedEvent,
            "{name}"
        );
        assert_eq!(
            refusal(&format!(r#"50-[ "{name}"]"#)),
            PacketError::ReservedEvent,
            "{name}"
        );
    }
}

#[test]
fn the_payload_is_json() {
    for text in [
        "2abc",
        "2[",
        r#"2["a"]x"#,
        r#"2["a",]"#,
        "2-5[]",
        r#"3x5["a"]"#,
        r#"2["a]"#,
    ] {
        assert_eq!(refusal(text), PacketError::InvalidJson, "{text}");
    }
}

#[test]
fn the_payload_fits_the_type() {
    for text in [
        "0[]", "0null", "1{}", "1[]", "3", "3{}", "31", "4", "4[]", "4null", "60-1{}",
    ] {
        assert_eq!(refusal(text), PacketError::UnexpectedPayload, "{text}");
    }
}

#[test]
fn an_ack_id_is_a_number_that_javascript_can_hold() {
    assert_eq!(parse(r#"29007199254740991["a"]"#).ack_id, Some(MAX_ACK_ID));
    assert_eq!(
        refusal(r#"29007199254740992["a"]"#),
        PacketError::InvalidAckId
    );
    assert_eq!(
        refusal(r#"299999999999999999999999["a"]"#),
        PacketError::InvalidAckId
    );
}

#[test]
fn an_ack_id_is_where_it_belongs() {
    assert_eq!(refusal("3[]"), PacketError::InvalidAckId);
    assert_eq!(refusal("60-[]"), PacketError::InvalidAckId);
    assert_eq!(refusal("05{}"), PacketError::InvalidAckId);
    assert_eq!(refusal("15"), PacketError::InvalidAckId);
}

#[test]
fn a_binary_packet_says_how_many_attachments_follow() {
    assert_eq!(parse(r#"510-["a"]"#).n_attachments, 10);
    assert_eq!(refusal(r#"511-["a"]"#), PacketError::TooManyAttachments);
    assert_eq!(
        refusal(r#"599999999999999999999999-["a"]"#),
        PacketError::TooManyAttachments
    );
    for text in [r#"5["a"]"#, r#"5-["a"]"#, r#"5+1-["a"]"#, "51", "6"] {
        assert_eq!(refusal(text), PacketError::AttachmentsMissing, "{text}");
    }
}

#[test]
fn nesting_is_bounded_where_it_is_taken_apart() {
    let nested = |kind: &str, n: usize| format!("{kind}{}{}", "[".repeat(n), "]".repeat(n));
    let object = |n: usize| format!(r#"0{{"a":{}{}}}"#, "[".repeat(n), "]".repeat(n));

    assert!(Packet::parse(&object(MAX_DEPTH - 1)).is_ok());
    assert_eq!(refusal(&object(MAX_DEPTH)), PacketError::TooDeep);
    assert_eq!(refusal(&nested("51-", MAX_DEPTH + 1)), PacketError::TooDeep);
}

#[test]
fn events_may_be_as_deep_as_they_are_long() {
    let n = 100_000;
    let text = format!(r#"2["a",{}{}]"#, "[".repeat(n), "]".repeat(n));

    let packet = Packet::parse(&text).unwrap();

    assert!(is_too_deep(packet.payload.unwrap().get()));
    assert!(!is_too_deep(&format!(
        "{}{}",
        "[".repeat(MAX_DEPTH),
        "]".repeat(MAX_DEPTH)
    )));
}

#[test]
fn brackets_in_a_string_are_no_nesting() {
    let text = format!(r#"2["a","\"{}"]"#, "[{".repeat(100));

    assert!(Packet::parse(&text).is_ok());
}

#[test]
fn what_is_sent_reads_as_the_reference_server_writes_it() {
    let error = encode_connect_error("/random", "Invalid namespace", None);
    let error_with_data = encode_connect_error("/", "no \"token\"", Some(r#"{"code":1}"#));

    assert_eq!(encode_event("/", None, "a", &["1", "{}"]), r#"2["a",1,{}]"#);
    assert_eq!(encode_event("/chat", Some(7), "a", &[]), r#"2/chat,7["a"]"#);
    assert_eq!(encode_ack("/", 7, &["1", "2"]), "37[1,2]");
    assert_eq!(encode_ack("/chat", 7, &[]), "3/chat,7[]");
    assert_eq!(encode_connect("/", "x", None), r#"0{"sid":"x"}"#);
    assert_eq!(
        encode_connect("/chat", "x", Some("y")),
        r#"0/chat,{"sid":"x","pid":"y"}"#
    );
    assert_eq!(error, r#"4/random,{"message":"Invalid namespace"}"#);
    assert_eq!(
        error_with_data,
        r#"4{"message":"no \"token\"","data":{"code":1}}"#
    );
    assert_eq!(encode_disconnect("/"), "1");
    assert_eq!(encode_disconnect("/chat"), "1/chat,");
    assert_eq!(
        encode_binary_event("/", None, "a", &["1"], 2),
        r#"52-["a",1]"#
    );
    assert_eq!(encode_binary_ack("/", 7, &["1"], 1), "61-7[1]");
}

proptest! {
    #[test]
    fn parse_undoes_encode(
        namespace in namespace(),
        ack_id in proptest::option::of(0..=MAX_ACK_ID),
        name in event_name(),
        args in vec(json(), 0..6),
    ) {
        let args: Vec<String> = args.iter().map(Value::to_string).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();

        let text = encode_event(&namespace, ack_id, &name, &args);
        let packet = Packet::parse(&text).unwrap();
        let event = packet.event().unwrap();

        prop_assert_eq!(packet.kind, PacketType::Event);
        prop_assert_eq!(packet.namespace, namespace);
        prop_assert_eq!(packet.ack_id, ack_id);
        prop_assert_eq!(event.name, name);
        prop_assert_eq!(event.args.iter().map(|arg| arg.get()).collect::<Vec<_>>(), args);
    }

    #[test]
    fn a_payload_is_judged_as_by_reading_the_whole(json in "[\\[\\]{}\",:\\\\a1 ]{0,12}") {
        let text = format!(r#"2["a",{json}]"#);
        let whole = serde_json::from_str::<Vec<Value>>(&text[1..]);

        let event = Packet::parse(&text).and_then(|packet| packet.event());

        prop_assert_eq!(event.is_ok(), whole.is_ok());
        if let (Ok(event), Ok(whole)) = (event, whole) {
            let args = event.args.iter().map(|arg| serde_json::from_str(arg.get()).unwrap());
            prop_assert_eq!(args.collect::<Vec<Value>>(), &whole[1..]);
        }
    }

    #[test]
    fn every_event_that_is_parsed_can_be_split(text in "[25][01]?-?(/[a-z?]{0,3},)?[0-9]{0,3}\\PC{0,24}") {
        if let Ok(packet) = Packet::parse(&text) {
            prop_assert!(packet.event().is_ok());
        }
    }

    #[test]
    fn parse_never_panics(text in "[0-7]\\PC{0,48}") {
        let _ = Packet::parse(&text);
    }
}
