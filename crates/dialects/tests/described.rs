//! Holds what is described of clients' events to what is decoded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{Dialect, Role, User, UserId};
use dialects::{
    Command, Rejection,
    describe::{Payload, Said, Schemas, vocabulary},
    is_taken,
};
use serde_json::{Value, json, value::to_raw_value};

const DIALECTS: [(Dialect, Role, &str); 4] = [
    (
        Dialect::Consult,
        Role::Consultant,
        "0199a7de-0000-7000-8000-000000000001",
    ),
    (Dialect::Care, Role::Doctor, "doctor-1"),
    (Dialect::Clinic, Role::Doctor, "ada@example.org"),
    (Dialect::Booking, Role::Client, "client-1"),
];

/// Says something as whom the examples are of.
#[expect(clippy::unwrap_in_result, reason = "a test that cannot go on fails")]
fn decode(dialect: Dialect, name: &str, payload: &Value) -> Result<Option<Command>, Rejection> {
    let (_, role, id) = DIALECTS.iter().find(|(it, ..)| *it == dialect).unwrap();
    let caller = User {
        id: UserId::new(id).unwrap(),
        role: *role,
        name: None,
        email: None,
        avatar_url: None,
    };
    let payload = to_raw_value(payload).unwrap();
    dialects::decode(dialect, name, Some(&payload), &caller)
}

fn every_event() -> impl Iterator<Item = (Dialect, &'static Said)> {
    let dialects = DIALECTS.iter().map(|(dialect, ..)| *dialect);
    dialects.flat_map(|dialect| vocabulary(dialect).said.iter().map(move |it| (dialect, it)))
}

#[test]
fn what_is_described_is_taken() {
    for (dialect, said) in every_event() {
        for payload in [said.example(true), said.example(false)] {
            let decoded = decode(dialect, said.name, &payload);

            assert!(
                matches!(decoded, Ok(Some(_))),
                "{} {payload}: {decoded:?}",
                said.name
            );
        }
    }
}

#[test]
fn what_has_to_be_there_is_missed_and_what_may_be_is_not() {
    for (dialect, said) in every_event() {
        let Payload::Object(fields, any_of) = said.payload else {
            assert!(
                decode(dialect, said.name, &Value::Null).is_err(),
                "{}",
                said.name
            );
            continue;
        };
        let few = said.example(false);
        for field in fields.iter().copied().flatten() {
            let mut without = few.clone();
            let was_there = without
                .as_object_mut()
                .unwrap()
                .remove(field.name)
                .is_some();
            let is_needed = field.is_required || any_of.first() == Some(&field.name);

            let decoded = decode(dialect, said.name, &without);

            assert_eq!(was_there, is_needed, "{} {}", said.name, field.name);
            assert_eq!(
                decoded.is_err(),
                is_needed,
                "{} without {}",
                said.name,
                field.name
            );
        }
        for name in any_of {
            let mut other = few.clone();
            let content = any_of.first().unwrap();
            let example = said.example(true)[name].clone();
            other.as_object_mut().unwrap().remove(*content);
            other[name] = example;

            let decoded = decode(dialect, said.name, &other);

            assert!(decoded.is_ok(), "{} with {name}: {decoded:?}", said.name);
        }
    }
}

#[test]
fn a_field_of_another_type_is_refused() {
    for (dialect, said) in every_event() {
        let Payload::Object(fields, _) = said.payload else {
            continue;
        };
        for field in fields.iter().copied().flatten() {
            let mut payload = said.example(true);
            // No field is a list of lists.
            payload[field.name] = json!([[]]);
            if field.name == "fileUrl" || field.name == "file_url" {
                // An upload takes its place.
                payload["attachmentId"] = Value::Null;
                payload["attachment_id"] = Value::Null;
            }

            let decoded = decode(dialect, said.name, &payload);

            assert!(decoded.is_err(), "{} {payload}: {decoded:?}", said.name);
        }
    }
}

#[test]
fn what_is_described_has_the_names_and_keys_that_there_are() {
    for (dialect, ..) in DIALECTS {
        let vocabulary = vocabulary(dialect);
        for event in vocabulary.heard {
            let schema = event.schema(&mut Schemas::of("any"));

            assert!(is_taken(event.name), "{}", event.name);
            let properties = schema["properties"].as_object().unwrap();
            assert!(
                !properties.values().any(Value::is_null),
                "{} {schema}",
                event.name
            );
        }
        for event in vocabulary.said {
            let is_heard = |name| vocabulary.heard.iter().any(|it| it.name == name);

            assert!(is_taken(event.name), "{}", event.name);
            assert!(
                event.answers.iter().all(|name| is_heard(*name)),
                "{}",
                event.name
            );
        }
    }
}

#[test]
fn the_document_keeps_what_it_says() {
    let document = dialects::describe::asyncapi(&DIALECTS.map(|(dialect, ..)| dialect));

    let parts = [
        &document["channels"],
        &document["operations"],
        &document["components"]["messages"],
        &document["components"]["schemas"],
    ];
    let entries = parts.iter().flat_map(|part| part.as_object().unwrap());
    let lines: Vec<String> = entries.map(|(id, it)| format!("{id} {it}")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
