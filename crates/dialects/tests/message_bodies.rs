//! Freezes the JSON of a message in the dialects of pairs and bookings.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{
    AppId, Attachment, ClientKey, Content, Conversation, ConversationId, Message, MessageId,
    MessageKind, Participant, Retention, Role, Seq, Subject, SubjectId, Timestamp, UserId,
};
use dialects::{booking, care, clinic};
use serde::Serialize;
use uuid::uuid;

const CONVERSATION: ConversationId = ConversationId(uuid!("0199a7de-0000-7000-8000-000000000001"));
const NOON: Timestamp = Timestamp(1_768_392_000_000);

fn pretty(body: &impl Serialize) -> String {
    serde_json::to_string_pretty(body).unwrap()
}

fn side(user: &str, role: Role, name: &str) -> Participant {
    Participant {
        name: Some(name.into()),
        email: Some(format!("{user}@example.org").into()),
        ..Participant::new(UserId::new(user).unwrap(), role)
    }
}

fn conversation(subject: Subject, participants: [Participant; 2]) -> Conversation {
    Conversation {
        id: CONVERSATION,
        app: AppId::new("app").unwrap(),
        subject,
        participants,
        last_seq: Seq(7),
        created_at: NOON,
        updated_at: NOON,
    }
}

/// Written by the second side, and read.
fn message(conversation: &Conversation) -> Message {
    let [_, sender] = &conversation.participants;
    let file = Attachment {
        url: "https://files.example/a.pdf".to_owned(),
        name: Some("a.pdf".to_owned()),
    };
    Message {
        id: MessageId(uuid!("0199a7de-0001-7000-8000-000000000002")),
        conversation: CONVERSATION,
        seq: Seq(7),
        sender: sender.user.clone(),
        sender_role: sender.role,
        client_key: Some(ClientKey::new("k-1").unwrap()),
        content: Content::stored(MessageKind::File, "Hello".to_owned(), Some(file)),
        created_at: NOON,
        delivered_at: Some(Timestamp(NOON.0 + 1_000)),
        read_at: Some(Timestamp(NOON.0 + 2_000)),
    }
}

#[test]
fn a_message_of_care_shows_both_people() {
    let sides = [
        side("doc", Role::Doctor, "Dr. Ada"),
        side("anna", Role::Patient, "Anna"),
    ];
    let conversation = conversation(Subject::Pair, sides);
    let message = message(&conversation);

    insta::assert_snapshot!(pretty(&care::MessageBody::new(&message, &conversation)));
}

#[test]
fn a_message_of_a_clinic_shows_when_it_expires() {
    let sides = [
        side("ada@clinic.com", Role::Doctor, "Dr. Ada"),
        side("bob@clinic.com", Role::Admin, "Bob"),
    ];
    let conversation = conversation(Subject::Pair, sides);
    let message = message(&conversation);
    let body = clinic::MessageBody::new(&message, &conversation, Some(Retention::of_days(90)));

    insta::assert_snapshot!(pretty(&body));
}

#[test]
fn a_message_of_a_booking_shows_its_sender() {
    let subject = Subject::Booking(SubjectId::new("b-1").unwrap());
    let sides = [
        side("owner", Role::Business, "Olga"),
        side("client", Role::Client, "Carl"),
    ];
    let conversation = conversation(subject, sides);
    let message = message(&conversation);

    insta::assert_snapshot!(pretty(&booking::MessageBody::new(&message, &conversation)));
}
