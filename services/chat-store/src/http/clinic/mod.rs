//! REST of the clinic dialect, below `/api`.
//!
//! Handlers translate, as in consult. Failures are `{detail}`, and what is missing or malformed is told
//! as `FastAPI` does: 422 with a list of places.

mod attachments;
mod conversations;
mod messages;
mod users;

use axum::{
    extract::FromRequestParts, middleware::map_response, response::Response, routing::MethodRouter,
};
use chat_domain::{Dialect, UserId};
use dialects::{
    SnakeUploadBody,
    clinic::{ConversationBody, MESSAGE, MessageBody, ReadBody, UnreadBody, UserBody},
    describe::{Kind, Property, Schemas, needed, optional},
};
use http::{StatusCode, request::Parts};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Api, auth,
    error::{RestError, restyle},
    fields::Fields,
    page::{LIMIT, PART, SKIP},
    routes::{Group, NO_SUCH, Routes, TO_USERS, get, post},
};
use crate::app::Caller;

/// The rule of a field that must be there.
const REQUIRED: &str = "Field required";

/// What these routes have in common.
const GROUP: Group = Group {
    name: "clinic",
    below: "/api",
    failure: Schemas::refer::<FailureBody<'static>>,
    invalid: StatusCode::UNPROCESSABLE_ENTITY,
    refused: TO_USERS,
};

const SELF: [Property; 1] = [needed("user_email", Kind::Email)];
const RECEIVER: [Property; 1] = [needed("receiver_email", Kind::Email)];
const FILE: [Property; 3] = [
    needed("file_name", Kind::Text),
    needed("content_type", Kind::Text),
    needed("size", Kind::Integer(0, u64::MAX)),
];

pub(super) fn routes() -> Routes {
    Routes::of(GROUP)
        .in_style(style)
        .add(
            get(
                "/conversations",
                "One's own conversations, those that changed last first.",
            )
            .query(&[&SELF, &LIMIT])
            .answers::<Vec<ConversationBody<'static>>>(StatusCode::OK),
            conversations::list,
        )
        .add(
            get(
                "/conversations/{id}/messages",
                "A page of the history, oldest first.",
            )
            .query(&[&LIMIT, &SKIP, &PART])
            .answers::<Vec<MessageBody<'static>>>(StatusCode::OK)
            .fails(NO_SUCH),
            conversations::page,
        )
        .add(
            post(
                "/attachments",
                "Announce a file for somebody, and learn where its bytes go.",
            )
            .takes(&[&RECEIVER, &FILE], &[])
            .answers::<SnakeUploadBody<'static>>(StatusCode::OK)
            .fails(&[StatusCode::NOT_FOUND]),
            attachments::announce,
        )
        .add(
            get("/attachments/{id}", "The bytes of a file.")
                .gives_bytes()
                .fails(NO_SUCH),
            attachments::read,
        )
        .describe(
            post("/messages", "Send a message to somebody.")
                .takes(
                    &[
                        &[optional("sender_email", Kind::Email)],
                        &RECEIVER,
                        &MESSAGE,
                    ],
                    &["content", "file_url", "attachment_id"],
                )
                .answers::<MessageBody<'static>>(StatusCode::OK)
                .fails(&[
                    StatusCode::BAD_REQUEST,
                    StatusCode::NOT_FOUND,
                    StatusCode::CONFLICT,
                ]),
        )
        .add(
            post("/messages/{id}/read", "Mark a message as read.")
                .answers::<ReadBody>(StatusCode::OK)
                .fails(NO_SUCH),
            messages::mark_read,
        )
        .add(
            get(
                "/messages/unread-count",
                "How many messages one has not read.",
            )
            .query(&[&SELF])
            .answers::<UnreadBody>(StatusCode::OK),
            messages::unread,
        )
        .add(
            get("/users/search", "At most ten users, by e-mail or name.")
                .query(&[&[
                    needed("q", Kind::Text),
                    optional("user_role", Kind::OneOf(&["admin", "doctor"])),
                ]])
                .answers::<Vec<UserBody<'static>>>(StatusCode::OK)
                .fails(&[StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE]),
            users::search,
        )
}

/// `POST /api/messages`, a path that another dialect has too.
pub(super) fn post_message() -> MethodRouter<Api> {
    axum::routing::post(messages::send).layer(map_response(async |response: Response| {
        restyle(style, response)
    }))
}

/// What a failure looks like.
#[derive(Serialize, JsonSchema)]
struct FailureBody<'a> {
    detail: Detail<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Detail<'a> {
    Text(&'a str),
    Lacking(Vec<LackingBody<'a>>),
}

/// A field that is missing or malformed.
#[derive(Serialize, JsonSchema)]
struct LackingBody<'a> {
    r#type: &'static str,
    /// Where it was looked for, and its name.
    loc: [&'a str; 2],
    msg: &'a str,
    /// Never repeated.
    input: (),
}

/// How these routes tell a failure.
fn style(error: &RestError) -> (StatusCode, Value) {
    if error.status != StatusCode::BAD_REQUEST || error.details.is_empty() {
        let detail = Detail::Text(&error.message);
        return (error.status, json!(FailureBody { detail }));
    }
    let lacking = error.details.iter().map(|detail| {
        let (name, rule) = detail.split_once(' ').unwrap_or(("", detail));
        let (kind, text) = match rule {
            REQUIRED => ("missing", REQUIRED),
            _ => ("value_error", detail.as_str()),
        };
        LackingBody {
            r#type: kind,
            loc: [error.place, name],
            msg: text,
            input: (),
        }
    });
    let detail = Detail::Lacking(lacking.collect());
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        json!(FailureBody { detail }),
    )
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Clinic, parts).map(Self)
    }
}

/// Refuses a user whom a field names and who is not the caller.
fn check_self(caller: &Caller, user: Option<&UserId>) -> Result<(), RestError> {
    match user {
        Some(user) if user != &caller.user.id => {
            Err(RestError::forbidden("You may only act for yourself"))
        }
        _ => Ok(()),
    }
}

/// Reads the e-mail `name`, which must be there.
fn email(fields: &mut Fields, name: &str) -> Option<UserId> {
    fields.required(name, REQUIRED, |text| {
        Dialect::Clinic.user_id(text.trim()).ok()
    })
}
