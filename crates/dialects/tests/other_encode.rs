//! Freezes the JSON of every event and acknowledgement of the dialects care, clinic and booking.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod held;

use std::fmt::Write as _;

use chat_domain::{
    AppId, ChatError, ClientKey, Content, Conversation, ConversationId, Dialect, Message,
    MessageId, MessageKind, Participant, Place, Presence, Retention, Role, Seq, Status, Subject,
    SubjectId, Timestamp, User, UserId,
};
use dialects::{Fact, Failure, Synced, Terms};
use uuid::uuid;

const CONVERSATION: ConversationId = ConversationId(uuid!("0199a7de-0000-7000-8000-000000000001"));
const MESSAGES: [MessageId; 2] = [
    MessageId(uuid!("0199a7de-0001-7000-8000-000000000002")),
    MessageId(uuid!("0199a7de-0001-7000-8000-000000000003")),
];
const NOON: Timestamp = Timestamp(1_768_392_000_000);

/// Who is in the conversation of a dialect, and what it is about.
struct Cast {
    dialect: Dialect,
    subject: Subject,
    sides: [Participant; 2],
}

fn side(id: &str, role: Role, name: &str) -> Participant {
    Participant {
        name: Some(name.into()),
        email: Some(format!("{}@example.org", name.to_lowercase()).into()),
        ..Participant::new(UserId::new(id).unwrap(), role)
    }
}

fn care() -> Cast {
    Cast {
        dialect: Dialect::Care,
        subject: Subject::Pair,
        sides: [
            side("doctor-1", Role::Doctor, "Ada"),
            side("patient-1", Role::Patient, "Ben"),
        ],
    }
}

fn clinic() -> Cast {
    Cast {
        dialect: Dialect::Clinic,
        subject: Subject::Pair,
        sides: [
            side("doctor@clinic.com", Role::Doctor, "Ada"),
            side("admin@clinic.com", Role::Admin, "Ben"),
        ],
    }
}

fn booking() -> Cast {
    Cast {
        dialect: Dialect::Booking,
        subject: Subject::Booking(SubjectId::new("507f1f77bcf86cd799439013").unwrap()),
        sides: [
            side("owner-1", Role::Business, "Ada"),
            side("client-1", Role::Client, "Ben"),
        ],
    }
}

/// Says everything there is to say, and what each says as an acknowledgement.
fn everything(cast: Cast) -> String {
    let Cast {
        dialect,
        subject,
        sides,
    } = cast;
    let [reader, sender] = sides.clone();
    let conversation = Conversation {
        id: CONVERSATION,
        app: AppId::new("app").unwrap(),
        subject: subject.clone(),
        participants: sides,
        last_seq: Seq(7),
        created_at: NOON,
        updated_at: NOON,
    };
    let message = Message {
        id: MESSAGES[0],
        conversation: CONVERSATION,
        seq: Seq(7),
        sender: sender.user.clone(),
        sender_role: sender.role,
        client_key: Some(ClientKey::new("k-1").unwrap()),
        content: Content::stored(MessageKind::Text, "Hello".to_owned(), None),
        created_at: NOON,
        delivered_at: None,
        read_at: None,
    };
    let user = User {
        id: sender.user.clone(),
        role: sender.role,
        name: None,
        email: None,
        avatar_url: None,
    };
    let place = match subject {
        Subject::Booking(id) => Place::Booking(id),
        Subject::Pair => Place::Peer(reader.user.clone()),
    };
    let synced = [Synced {
        conversation: &conversation,
        messages: std::slice::from_ref(&message),
        more: false,
    }];
    let typing = |active| Fact::Typing {
        conversation: CONVERSATION,
        user: &sender.user,
        role: sender.role,
        active,
    };
    let presence = |presence, name| Fact::Presence {
        user: &sender.user,
        name,
        presence,
        at: NOON,
    };
    let stranger = Failure::of(dialect, &ChatError::NotParticipant, Some("an_event"));
    let facts = [
        Fact::Joined {
            place: &place,
            conversation: CONVERSATION,
        },
        Fact::Appended(&message, &conversation),
        Fact::Received(&message),
        Fact::Sent(&message, &conversation),
        typing(true),
        typing(false),
        Fact::Marked { ids: &MESSAGES },
        Fact::Read {
            conversation: CONVERSATION,
            ids: &MESSAGES,
            reader: &reader.user,
            at: NOON,
        },
        Fact::Delivered {
            conversation: CONVERSATION,
            ids: &MESSAGES,
            sender: &sender.user,
            reader: &reader.user,
            at: NOON,
        },
        presence(Presence::Online(Status::Busy), Some("Ben")),
        presence(Presence::Offline, None),
        Fact::StatusSet(Status::Away),
        Fact::Introduced(&user),
        Fact::Synced(&synced),
        Fact::Resync(&[(CONVERSATION, Seq(9))]),
        Fact::TokenRefreshed(NOON),
        Fact::Failed(&stranger),
        Fact::Heard(&place),
    ];

    spelled(dialect, &facts)
}

fn spelled(dialect: Dialect, facts: &[Fact<'_>]) -> String {
    let terms = Terms {
        dialect,
        retention: Some(Retention::of_days(90)),
    };
    let mut text = String::new();
    for fact in facts {
        let whole = format!("{fact:?}");
        let name = whole.split([' ', '(']).next().unwrap();
        let events = dialects::encode(terms, fact);
        writeln!(text, "{name}").unwrap();
        for event in &events {
            writeln!(text, "    {} {}", event.name, event.json).unwrap();
            held::hold(dialect, event);
        }
        let ack = dialects::ack(dialect, "an_event", fact, &events);
        writeln!(text, "    ack {}", ack.as_deref().unwrap_or_default()).unwrap();
    }
    text
}

#[test]
fn all_that_care_says_keeps_its_json() {
    insta::assert_snapshot!(everything(care()));
}

#[test]
fn all_that_a_clinic_says_keeps_its_json() {
    insta::assert_snapshot!(everything(clinic()));
}

#[test]
fn all_that_is_said_about_a_booking_keeps_its_json() {
    insta::assert_snapshot!(everything(booking()));
}
