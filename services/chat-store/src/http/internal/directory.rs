//! What other services say of people and what they have to do with each other.

use axum::extract::{FromRequest as _, Path, Request};
use chat_domain::{AppId, Booking, Business, Role, User, UserId};
use dialects::describe::{Kind, Property, needed, optional};
use http::{StatusCode, header::CONTENT_TYPE};
use service_kit::apps::App as AppConfig;

use super::{
    A_TEXT, AN_ID, AN_INSTANT, ANY_ACTOR, GROUP, Told, find_app, in_path, instant, subject_id,
    text, user_id,
};
use crate::{
    app::App,
    http::{
        error::RestError,
        fields::{Fields, JsonBody},
        routes::{Routes, delete, put},
    },
};

const USER: [Property; 4] = [
    needed("role", ROLES),
    optional("name", Kind::Text),
    optional("email", Kind::Text),
    optional("avatarUrl", Kind::Text),
];
const ROLES: Kind = Kind::OneOf(&[
    "consultant",
    "patient",
    "doctor",
    "admin",
    "client",
    "business",
]);
const BOOKING: [Property; 7] = [
    optional("consultantId", Kind::Id),
    optional("businessId", Kind::Id),
    optional("patientId", Kind::Id),
    optional("clientId", Kind::Id),
    optional("startsAt", Kind::Instant),
    optional("endsAt", Kind::Instant),
    optional("status", Kind::Text),
];
const BUSINESS: [Property; 2] = [needed("ownerId", Kind::Id), needed("name", Kind::Text)];
/// Of two versions the greater one stays.
const VERSION: [Property; 1] = [optional(
    "version",
    Kind::Integer(0, i64::MAX.unsigned_abs()),
)];

pub(super) fn routes() -> Routes<App> {
    Routes::of(GROUP)
        .add(
            put("/users/{id}", "Enter a user, in a role of the app's.")
                .headers(&[&ANY_ACTOR])
                .takes(&[&USER, &VERSION], &[])
                .done(),
            put_user,
        )
        .add(
            put(
                "/bookings/{id}",
                "Enter a booking: of a consultant or a business, and of a patient or a client.",
            )
            .headers(&[&ANY_ACTOR])
            .takes(&[&BOOKING, &VERSION], &["consultantId", "businessId"])
            .done(),
            put_booking,
        )
        .add(
            put("/businesses/{id}", "Enter a business.")
                .headers(&[&ANY_ACTOR])
                .takes(&[&BUSINESS, &VERSION], &[])
                .done(),
            put_business,
        )
        .add(
            put(
                "/associations/{doctor}/{patient}",
                "Let a doctor and a patient write to each other.",
            )
            .headers(&[&ANY_ACTOR])
            .may_take(&[&VERSION])
            .done(),
            put_association,
        )
        .add(
            delete(
                "/associations/{doctor}/{patient}",
                "End that. What the two wrote stays theirs to read.",
            )
            .headers(&[&ANY_ACTOR])
            .may_take(&[&VERSION])
            .done(),
            remove_association,
        )
}

/// `PUT …/users/{id}` `{role, name?, email?, avatarUrl?}`
async fn put_user(
    Told(chat): Told,
    Path((app, id)): Path<(String, String)>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let id = in_path(&mut body, "id", user_id(&app, &id));
    let role = body.required("role", "must be a role of the app", |text| {
        Role::parse(text).ok()
    });
    let name = body.optional("name", A_TEXT, text);
    let email = body.optional("email", A_TEXT, text);
    let avatar_url = body.optional("avatarUrl", A_TEXT, text);
    let version = body.optional_integer("version");
    body.check()?;
    let (Some(id), Some(role)) = (id, role) else {
        return Err(body.rejected());
    };

    let user = User {
        id,
        role,
        name,
        email,
        avatar_url,
    };
    chat.put_user(&app.id, user, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT …/bookings/{id}` `{consultantId|businessId, patientId|clientId, startsAt?, endsAt?, status?}`
async fn put_booking(
    Told(chat): Told,
    Path((app, id)): Path<(String, String)>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let id = in_path(&mut body, "id", subject_id(&app, &id));
    let professional = either(&mut body, &app, "consultantId", "businessId");
    let client = either(&mut body, &app, "patientId", "clientId");
    let starts_at = body.optional("startsAt", AN_INSTANT, instant);
    let ends_at = body.optional("endsAt", AN_INSTANT, instant);
    let status = body.optional("status", A_TEXT, text);
    let version = body.optional_integer("version");
    body.check()?;
    let (Some(id), Some(professional), Some(client)) = (id, professional, client) else {
        return Err(body.rejected());
    };

    let booking = Booking {
        id,
        professional,
        client,
        starts_at,
        ends_at,
        status,
    };
    chat.put_booking(&app.id, booking, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT …/businesses/{id}` `{ownerId, name}`
async fn put_business(
    Told(chat): Told,
    Path((app, id)): Path<(String, String)>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let id = in_path(&mut body, "id", user_id(&app, &id));
    let owner = body.required("ownerId", AN_ID, |text| user_id(&app, text));
    let name = body.required("name", A_TEXT, text);
    let version = body.optional_integer("version");
    body.check()?;
    let (Some(id), Some(owner), Some(name)) = (id, owner, name) else {
        return Err(body.rejected());
    };

    let business = Business { id, owner, name };
    chat.put_business(&app.id, business, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT …/associations/{doctorId}/{patientId}`, with or without a body.
async fn put_association(
    Told(chat): Told,
    Path((app, doctor, patient)): Path<(String, String, String)>,
    request: Request,
) -> Result<StatusCode, RestError> {
    let pair = Associated::read(&chat, (&app, &doctor, &patient), request).await?;
    chat.put_association(&pair.app, pair.doctor, pair.patient, pair.version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/associations/{doctorId}/{patientId}`, with or without a body.
async fn remove_association(
    Told(chat): Told,
    Path((app, doctor, patient)): Path<(String, String, String)>,
    request: Request,
) -> Result<StatusCode, RestError> {
    let pair = Associated::read(&chat, (&app, &doctor, &patient), request).await?;
    chat.remove_association(&pair.app, pair.doctor, pair.patient, pair.version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A doctor and a patient, and the version of what is said of them.
struct Associated {
    app: AppId,
    doctor: UserId,
    patient: UserId,
    version: Option<i64>,
}

impl Associated {
    async fn read(
        chat: &App,
        (app, doctor, patient): (&str, &str, &str),
        request: Request,
    ) -> Result<Self, RestError> {
        let app = find_app(chat, app)?;
        let mut body = if request.headers().contains_key(CONTENT_TYPE) {
            JsonBody::from_request(request, &()).await?.0
        } else {
            Fields::default()
        };
        let doctor = in_path(&mut body, "doctorId", user_id(&app, doctor));
        let patient = in_path(&mut body, "patientId", user_id(&app, patient));
        let version = body.optional_integer("version");
        body.check()?;
        let (Some(doctor), Some(patient)) = (doctor, patient) else {
            return Err(body.rejected());
        };
        Ok(Self {
            app: app.id.clone(),
            doctor,
            patient,
            version,
        })
    }
}

/// Reads the id of a user that dialects name differently.
fn either(body: &mut Fields, app: &AppConfig, name: &str, other: &str) -> Option<UserId> {
    let name = if body.has(other) { other } else { name };
    body.required(name, AN_ID, |text| user_id(app, text))
}
