//! The demo data that `cargo xtask up` puts into an empty system: two people with a booking, and two
//! of each other dialect (`demo_apps`).
//!
//! Goes in through the doors that every other service uses; a second time it changes nothing.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::{
    apps::Apps,
    demo_apps::{self, Guest},
    http, json, secret,
    token::{self, Claims, DAY},
};

/// The app that the demo users belong to.
pub(crate) const APP: &str = "consult";

/// Identifies the booking.
const BOOKING: &str = "33333333-3333-4333-8333-333333333333";

/// A demo user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) id: &'static str,
    pub(crate) role: &'static str,
    pub(crate) name: &'static str,
    email: &'static str,
}

/// The one who is booked.
const CONSULTANT: Person = Person {
    id: "11111111-1111-4111-8111-111111111111",
    role: "consultant",
    name: "Ada Okafor",
    email: "ada@example.test",
};

/// The one who books.
const PATIENT: Person = Person {
    id: "22222222-2222-4222-8222-222222222222",
    role: "patient",
    name: "Ben Lindqvist",
    email: "ben@example.test",
};

/// What there is to play with.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Each person with a token that is good for a day.
    pub(crate) people: Vec<(Person, String)>,
    /// The conversation of the two.
    pub(crate) conversation: String,
    /// People of the other dialects.
    pub(crate) others: Vec<Guest>,
}

impl Demo {
    /// Writes the file that the gateways' demo page takes its people from.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let people = self.people.iter().map(|(person, token)| {
            json::object([
                ("id", json::string(person.id)),
                ("role", json::string(person.role)),
                ("name", json::string(person.name)),
                ("token", json::string(token)),
            ])
        });
        let cast = json::object([
            ("conversation", json::string(&self.conversation)),
            ("people", json::array(people)),
        ]);
        secret::write_private(file, &cast)
    }
}

/// Tells the store about the people and their booking, and opens their conversation.
///
/// # Errors
///
/// When the store refuses.
pub(crate) fn seed(
    apps: &Apps,
    store_port: u16,
    internal_port: u16,
    service_token: &str,
) -> Result<Demo> {
    let door = (internal_port, service_token);
    let secret = &apps.get(APP)?.secret;
    let mut people = Vec::new();
    for person in [CONSULTANT, PATIENT] {
        let about = json::object([
            ("role", json::string(person.role)),
            ("name", json::string(person.name)),
            ("email", json::string(person.email)),
        ]);
        put(door, APP, &format!("users/{}", person.id), &about)?;
        let claims = Claims {
            user: person.id,
            role: person.role,
            email: Some(person.email),
            name: Some(person.name),
        };
        people.push((person, token::sign(secret, claims, DAY)?));
    }
    let booking = json::object([
        ("consultantId", json::string(CONSULTANT.id)),
        ("patientId", json::string(PATIENT.id)),
    ]);
    put(door, APP, &format!("bookings/{BOOKING}"), &booking)?;

    let wanted = json::object([
        ("consultantId", json::string(CONSULTANT.id)),
        ("patientId", json::string(PATIENT.id)),
        ("bookingId", json::string(BOOKING)),
    ]);
    let bearer = people.first().map(|(_, token)| token.as_str());
    let path = "/api/v1/chat/conversations";
    let answer = http::request(store_port, "POST", path, bearer, &wanted)?;
    ensure!(
        answer.status / 100 == 2,
        "the store did not open the demo conversation: {} {}",
        answer.status,
        answer.body,
    );
    let conversation = id_in(&answer.body).context("the conversation has no id")?;
    Ok(Demo {
        people,
        conversation,
        others: demo_apps::seed(apps, door)?,
    })
}

/// Puts something into the directory of an app.
pub(crate) fn put(
    (port, service_token): (u16, &str),
    app: &str,
    path: &str,
    about: &str,
) -> Result<()> {
    let path = format!("/internal/v1/apps/{app}/{path}");
    let answer = http::request(port, "PUT", &path, Some(service_token), about)?;
    ensure!(
        answer.status / 100 == 2,
        "the store did not take {path}: {} {}",
        answer.status,
        answer.body,
    );
    Ok(())
}

/// The value of the first member `id`.
fn id_in(body: &str) -> Option<String> {
    let (_, rest) = body.split_once("\"id\":\"")?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::id_in;

    #[test]
    fn the_id_is_not_mistaken_for_another_one() {
        let body = r#"{"consultantId":"c","id":"x","patientId":"p"}"#;

        assert_eq!(id_in(body).as_deref(), Some("x"));
    }
}
