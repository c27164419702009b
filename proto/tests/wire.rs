//! What must not change while two releases run side by side.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use chat_domain::{
    Content, ConversationId, Message, MessageId, MessageKind, Role, Seq, Timestamp, UserId,
};
use chat_proto::v1;
use prost::Message as _;
use uuid::Uuid;

/// A message event as the first release sent it.
const APPENDED: &str = "08011207636f6e73756c741802220175220176320430302d31524212400a10000000000005\
    7882800000000000000612100000000000000000000000000000000118032201752a0770617469656e743a04746578744202\
    686950076008";

/// Fields and enumerations, a line each. A line that is new is fine; one that changes or goes is
/// not: the release before would read something else.
#[test]
fn the_format_only_grows() {
    insta::assert_snapshot!(include_str!(concat!(env!("OUT_DIR"), "/wire.txt")));
}

fn envelope() -> v1::Envelope {
    let conversation = ConversationId(Uuid::from_u128(1));
    let message = Message {
        id: MessageId::new(conversation, 5, 6),
        conversation,
        seq: Seq(3),
        sender: UserId::new("u").unwrap(),
        sender_role: Role::Patient,
        client_key: None,
        content: Content::stored(MessageKind::Text, "hi".to_owned(), None),
        created_at: Timestamp(7),
        delivered_at: None,
        read_at: Some(Timestamp(8)),
    };
    v1::Envelope {
        version: 1,
        app: "consult".to_owned(),
        epoch: 2,
        targets: vec!["u".to_owned(), "v".to_owned()],
        traceparent: "00-1".to_owned(),
        body: Some(v1::envelope::Body::MessageAppended(v1::MessageAppended {
            conversation: None,
            message: Some((&message).into()),
        })),
        ..v1::Envelope::default()
    }
}

/// A field that no release has, of three bytes.
const UNKNOWN_FIELD: [u8; 3] = [0xc0, 0x3e, 1];

#[test]
fn an_event_of_the_first_release_is_still_read() {
    let bytes = Bytes::from(bytes(APPENDED));

    assert_eq!(v1::Envelope::decode(bytes).unwrap(), envelope());
}

#[test]
fn what_a_newer_release_adds_is_ignored() {
    let mut bytes = envelope().encode_to_vec();
    bytes.extend(UNKNOWN_FIELD);

    assert_eq!(
        v1::Envelope::decode(Bytes::from(bytes)).unwrap(),
        envelope()
    );
}

#[test]
fn an_event_of_an_unknown_kind_has_no_body() {
    let known = v1::Envelope {
        body: None,
        ..envelope()
    };
    let mut bytes = known.encode_to_vec();
    // Field 999, a message of two bytes.
    bytes.extend([0xba, 0x3e, 2, 8, 1]);

    let read = v1::Envelope::decode(Bytes::from(bytes)).unwrap();

    assert_eq!(read, known);
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}
