//! REST of the booking dialect, below `/api/messages`.
//!
//! Handlers translate, as in consult. Failures are `{msg}`.

mod attachments;
mod lists;
mod messages;

use axum::{
    extract::FromRequestParts, middleware::map_response, response::Response, routing::MethodRouter,
};
use chat_domain::Dialect;
use dialects::{
    UploadBody,
    booking::{ConversationBody, MarkedBody, MessageBody},
    describe::{Kind, MESSAGE, MESSAGE_NEEDS, Property, Schemas, needed, optional},
};
use http::{StatusCode, request::Parts};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use service_kit::auth::TokenError;

use super::{
    Api, auth,
    error::{RestError, restyle},
    files::FILE,
    page::{LIMIT, OFFSET, PART},
    routes::{Group, NO_SUCH, Routes, TO_USERS, get, post},
};
use crate::app::Caller;

/// What these routes have in common.
const GROUP: Group = Group {
    name: "booking",
    below: "/api/messages",
    failure: Schemas::refer::<FailureBody<'static>>,
    invalid: StatusCode::BAD_REQUEST,
    refused: TO_USERS,
};

const SENDER: [Property; 2] = [
    needed("bookingId", Kind::Id),
    optional("senderType", Kind::OneOf(&["client", "business"])),
];
const MESSAGE_IDS: Kind = Kind::List(&Kind::Text, messages::MAX_MARKED);

type Conversations = Vec<ConversationBody<'static>>;

pub(super) fn routes() -> Routes {
    Routes::of(GROUP)
        .in_style(style)
        .describe(
            post("", "Send a message about a booking.")
                .takes(&[&SENDER, &MESSAGE], MESSAGE_NEEDS)
                .answers::<MessageBody<'static>>(StatusCode::CREATED)
                .fails(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT]),
        )
        .add(
            get(
                "/booking/{id}",
                "The newest messages about a booking, oldest first.",
            )
            .query(&[&LIMIT, &OFFSET, &PART])
            .answers::<Vec<MessageBody<'static>>>(StatusCode::OK)
            .fails(NO_SUCH),
            messages::page,
        )
        .add(
            post(
                "/booking/{id}/attachments",
                "Announce a file, and learn where its bytes go.",
            )
            .takes(&[&FILE], &[])
            .answers::<UploadBody<'static>>(StatusCode::CREATED)
            .fails(NO_SUCH),
            attachments::announce,
        )
        .add(
            get("/attachments/{id}", "The bytes of a file.")
                .gives_bytes()
                .fails(NO_SUCH),
            attachments::read,
        )
        .add(
            get(
                "/my-conversations",
                "Those of one's own bookings, that changed last first.",
            )
            .query(&[&LIMIT])
            .answers::<Conversations>(StatusCode::OK),
            lists::own,
        )
        .add(
            get(
                "/business/{id}/conversations",
                "Those of the bookings of one's business.",
            )
            .query(&[&LIMIT])
            .answers::<Conversations>(StatusCode::OK)
            .fails(NO_SUCH),
            lists::of_business,
        )
        .add(
            post(
                "/mark-read",
                "Mark messages of others as read, wherever they are.",
            )
            .takes(&[&[needed("messageIds", MESSAGE_IDS)]], &[])
            .answers::<MarkedBody<'static>>(StatusCode::OK),
            messages::mark_read,
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
    msg: &'a str,
}

/// How these routes tell a failure.
fn style(error: &RestError) -> (StatusCode, Value) {
    let msg = match error.token {
        Some(TokenError::Missing) => "No token, authorization denied",
        Some(TokenError::Invalid | TokenError::Expired) => "Token is not valid",
        Some(TokenError::Role) => "Unauthorized",
        None => error.sentence(),
    };
    (error.status, json!(FailureBody { msg }))
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Booking, parts).map(Self)
    }
}
