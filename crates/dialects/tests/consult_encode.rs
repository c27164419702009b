//! Freezes the JSON of every event of the consult dialect.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod held;

use chat_domain::{
    AppId, Attachment, ChatError, ClientKey, Content, Conversation, ConversationId, Dialect,
    ErrorKind, Message, MessageId, MessageKind, Participant, Place, Presence, Role, Seq, Status,
    Subject, SubjectId, Timestamp, UserId,
};
use dialects::{Fact, Failure, Rejection, ServerEvent, Synced, consult};
use uuid::uuid;

const CONVERSATION: ConversationId = ConversationId(uuid!("0199a7de-0000-7000-8000-000000000001"));
const MESSAGE: MessageId = MessageId(uuid!("0199a7de-0001-7000-8000-000000000002"));
const NOON: Timestamp = Timestamp(1_768_392_000_000);

#[test]
fn every_event_keeps_its_json() {
    let (conversation, message) = (conversation(), message());
    let user = UserId::new("22222222-2222-4222-8222-222222222222").unwrap();
    let synced = Synced {
        conversation: &conversation,
        messages: std::slice::from_ref(&message),
        more: true,
    };

    let conversation_id = CONVERSATION;
    let typing = |active| Fact::Typing {
        conversation: conversation_id,
        user: &user,
        role: Role::Patient,
        active,
    };
    for fact in [
        Fact::Joined {
            place: &Place::Conversation(CONVERSATION),
            conversation: CONVERSATION,
        },
        left(),
        Fact::Appended(&message, &conversation),
        Fact::Sent(&message, &conversation),
        typing(true),
        typing(false),
        Fact::Marked { ids: &[MESSAGE] },
        Fact::Read {
            conversation: CONVERSATION,
            ids: &[MESSAGE],
            reader: &user,
            at: NOON,
        },
        Fact::Delivered {
            conversation: CONVERSATION,
            ids: &[MESSAGE],
            sender: &user,
            reader: &user,
            at: NOON,
        },
        Fact::Synced(&[synced]),
        Fact::Resync(&[(CONVERSATION, Seq(9))]),
        Fact::TokenRefreshed(NOON),
        Fact::Presence {
            user: &user,
            name: None,
            presence: Presence::Online(Status::Away),
            at: NOON,
        },
    ] {
        let event = only(&fact);
        insta::assert_snapshot!(event.name.replace(':', "_"), pretty(&event));
    }
}

/// Encodes a fact that is one event.
fn only(fact: &Fact<'_>) -> ServerEvent {
    let [event] = <[_; 1]>::try_from(consult::encode(fact)).unwrap();
    held::hold(Dialect::Consult, &event);
    event
}

const fn left() -> Fact<'static> {
    Fact::Left {
        conversation: CONVERSATION,
    }
}

#[test]
fn every_error_keeps_its_json() {
    let rejection = Rejection {
        message: "Missing required fields".to_owned(),
        kind: ErrorKind::Invalid,
        event: "send_message",
    };
    let rate_limited = ChatError::RateLimited {
        retry_after_ms: 250,
    };
    let hidden = ChatError::Internal("SELECT secret".into());

    let failure = |error, event| Failure::of(Dialect::Consult, error, event);
    for (name, failure) in [
        ("error_rejected", Failure::from(&rejection)),
        (
            "error_token_expired",
            Failure::new("Token expired", "token_expired", None),
        ),
        (
            "error_rate_limited",
            failure(&rate_limited, Some("typing_start")),
        ),
        ("error_internal", failure(&hidden, None)),
    ] {
        insta::assert_snapshot!(name, pretty(&only(&Fact::Failed(&failure))));
    }
}

#[test]
fn an_ack_wraps_the_event() {
    assert_eq!(
        only(&left()).to_ack(),
        format!(r#"{{"event":"left_conversation","data":{{"conversationId":"{CONVERSATION}"}}}}"#),
    );
}

#[test]
fn a_message_with_a_file_names_it() {
    let file = Attachment::new("https://files.example/a.pdf", Some("a.pdf")).unwrap();
    let message = Message {
        content: Content::stored(MessageKind::File, String::new(), Some(file)),
        client_key: Some(ClientKey::new("k-1").unwrap()),
        delivered_at: Some(Timestamp(NOON.0 + 1)),
        read_at: Some(Timestamp(NOON.0 + 2)),
        ..message()
    };

    let event = only(&Fact::Appended(&message, &conversation()));

    insta::assert_snapshot!("new_message_with_file", pretty(&event));
}

fn pretty(event: &ServerEvent) -> String {
    let value: serde_json::Value = serde_json::from_str(&event.json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn conversation() -> Conversation {
    let participant = |id, role| Participant::new(UserId::new(id).unwrap(), role);
    Conversation {
        id: CONVERSATION,
        app: AppId::new("jiggy").unwrap(),
        subject: Subject::Booking(SubjectId::new("33333333-3333-4333-8333-333333333333").unwrap()),
        participants: [
            participant("11111111-1111-4111-8111-111111111111", Role::Consultant),
            participant("22222222-2222-4222-8222-222222222222", Role::Patient),
        ],
        last_seq: Seq(1),
        created_at: Timestamp(NOON.0 - 60_000),
        updated_at: NOON,
    }
}

fn message() -> Message {
    Message {
        id: MESSAGE,
        conversation: CONVERSATION,
        seq: Seq(1),
        sender: UserId::new("22222222-2222-4222-8222-222222222222").unwrap(),
        sender_role: Role::Patient,
        client_key: None,
        content: Content::stored(MessageKind::Text, "Hello <\"doctor\">\r\n".to_owned(), None),
        created_at: NOON,
        delivered_at: None,
        read_at: None,
    }
}

#[test]
fn ice_servers_keep_their_json() {
    let stun = ["stun:relay.example".to_owned()];
    let turn = ["turn:relay.example?transport=udp".to_owned()];
    let relay = consult::RelayBody {
        urls: &turn,
        username: "1768395600:someone",
        credential: "secret",
        expires_at: NOON,
    };
    let json = |body| serde_json::to_value::<consult::IceServersBody<'_>>(body).unwrap();

    let none = json(consult::IceServersBody::new(&[], None));
    let both = json(consult::IceServersBody::new(&stun, Some(relay)));

    assert_eq!(none, serde_json::json!({"iceServers": []}));
    insta::assert_json_snapshot!("ice_servers", both);
}
