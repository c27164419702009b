//! Demo data of the apps whose clients connect to the root namespace: two people of each who may
//! write to each other.

use anyhow::Result;

use crate::{
    apps::Apps,
    demo::put,
    json,
    token::{self, Claims, DAY},
};

/// Somebody to be, with a token that is good for a day.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) app: &'static str,
    pub(crate) id: &'static str,
    pub(crate) role: &'static str,
    pub(crate) token: String,
}

/// App, id, role, name.
const GUESTS: [(&str, &str, &str, &str); 6] = [
    ("care", "doctor-ada", "doctor", "Dr. Ada Okafor"),
    ("care", "patient-ben", "patient", "Ben Lindqvist"),
    ("clinic", "doctor@clinic.com", "doctor", "Dr. Ada Okafor"),
    ("clinic", "admin@clinic.com", "admin", "Ben Lindqvist"),
    ("booking", "owner-ada", "business", "Ada Okafor"),
    ("booking", "client-ben", "client", "Ben Lindqvist"),
];

/// Tells the store, through `door`, who there is and who may write to whom.
///
/// # Errors
///
/// When the store refuses.
pub(crate) fn seed(apps: &Apps, door: (u16, &str)) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for (app, id, role, name) in GUESTS {
        let email = if id.contains('@') {
            id.to_owned()
        } else {
            format!("{id}@example.test")
        };
        let about = json::object([
            ("role", json::string(role)),
            ("name", json::string(name)),
            ("email", json::string(&email)),
        ]);
        put(door, app, &format!("users/{id}"), &about)?;
        let claims = Claims {
            user: id,
            role,
            email: Some(&email),
            name: Some(name),
        };
        let token = token::sign(&apps.get(app)?.secret, claims, DAY)?;
        guests.push(Guest {
            app,
            id,
            role,
            token,
        });
    }
    put(door, "care", "associations/doctor-ada/patient-ben", "{}")?;
    let business = json::object([
        ("ownerId", json::string("owner-ada")),
        ("name", json::string("Ada's Studio")),
    ]);
    put(door, "booking", "businesses/studio", &business)?;
    let booking = json::object([
        ("businessId", json::string("studio")),
        ("clientId", json::string("client-ben")),
    ]);
    put(door, "booking", "bookings/booking-1", &booking)?;
    Ok(guests)
}
