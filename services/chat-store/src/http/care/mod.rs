//! REST of the care dialect: `/chat`, `/users` for patients and `/doctors` for doctors.
//!
//! Handlers translate, as in consult. Answers are `{success, message?, data?}`.

mod attachments;
mod chat;
mod roles;

use axum::extract::{FromRequestParts, Path};
use chat_domain::{Dialect, Role, UserId};
use dialects::{
    UploadBody,
    care::{ConversationBody, MessageBody, OnlineBody, Success, UnreadBody},
    describe::{Kind, MESSAGE, MESSAGE_NEEDS, Property, Schemas, needed, optional},
};
use http::{StatusCode, request::Parts};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use service_kit::auth::TokenError;

use super::{
    Api, auth,
    error::RestError,
    files::FILE,
    page::{LIMIT, PART, SKIP},
    routes::{Group, NO_SUCH, Routes, TO_USERS, get, post, put},
};
use crate::app::{Caller, presence::Roster};

/// What these routes have in common.
const GROUP: Group = Group {
    name: "care",
    below: "",
    failure: Schemas::refer::<FailureBody<'static>>,
    invalid: StatusCode::BAD_REQUEST,
    refused: TO_USERS,
};

/// At most 100, here alone.
const PAGE_LIMIT: [Property; 1] = [optional("limit", Kind::Integer(1, 100))];

type Conversations = Success<Vec<ConversationBody<'static>>>;
type Messages = Success<Vec<MessageBody<'static>>>;
type Message = Success<MessageBody<'static>>;
type Unread = Success<UnreadBody>;

pub(super) fn routes() -> Routes {
    let routes = Routes::of(GROUP).in_style(style);
    for_patients(for_both(routes))
        .add(
            get(
                "/doctors/patients/{id}/messages",
                "As a doctor: the history with a patient.",
            )
            .query(&[&PAGE_LIMIT, &SKIP, &PART])
            .answers::<Messages>(StatusCode::OK)
            .fails(NO_SUCH),
            roles::page_with_patient,
        )
        .add(
            post(
                "/doctors/patients/{id}/messages",
                "As a doctor: send a message to a patient.",
            )
            .takes(
                &[&[optional("message", Kind::Text)], &MESSAGE],
                SAID_BY_DOCTORS,
            )
            .answers::<Message>(StatusCode::OK)
            .fails(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT]),
            roles::send_to_patient,
        )
}

/// A doctor's text is in `message`.
const SAID_BY_DOCTORS: &[&str] = &["message", "fileUrl", "attachmentId"];

fn for_both(routes: Routes) -> Routes {
    routes
        .add(
            get(
                "/chat/conversations",
                "One's own conversations, those that changed last first.",
            )
            .query(&[&LIMIT])
            .answers::<Conversations>(StatusCode::OK),
            chat::list,
        )
        .add(
            get(
                "/chat/conversations/{id}",
                "The history with another user, oldest first.",
            )
            .query(&[&PAGE_LIMIT, &SKIP, &PART])
            .answers::<Messages>(StatusCode::OK)
            .fails(NO_SUCH),
            chat::page,
        )
        .add(
            put(
                "/chat/conversations/{id}/read",
                "Mark everything that the other user sent as read.",
            )
            .answers::<Success<()>>(StatusCode::OK)
            .fails(NO_SUCH),
            chat::mark_read,
        )
        .add(
            post(
                "/chat/conversations/{id}/attachments",
                "Announce a file for another user, and learn where its bytes go.",
            )
            .takes(&[&FILE], &[])
            .answers::<Success<UploadBody<'static>>>(StatusCode::CREATED)
            .fails(NO_SUCH),
            attachments::announce,
        )
        .add(
            get("/chat/attachments/{id}", "The bytes of a file.")
                .gives_bytes()
                .fails(NO_SUCH),
            attachments::read,
        )
        .add(
            get("/chat/unread-count", "How many messages one has not read.")
                .answers::<Unread>(StatusCode::OK),
            chat::unread,
        )
        .add(
            post(
                "/chat/online-status",
                "Who is there, as far as one may know.",
            )
            .takes(&[&[needed("userIds", USERS)]], &[])
            .answers::<Success<Vec<OnlineBody<'static>>>>(StatusCode::OK),
            chat::online,
        )
        .add(
            get(
                "/chat/search",
                "Conversations with people, or messages, of that text.",
            )
            .query(&[&[needed("query", Kind::Text)]])
            .answers::<Conversations>(StatusCode::OK)
            .fails(&[StatusCode::PAYLOAD_TOO_LARGE]),
            chat::search,
        )
}

const USERS: Kind = Kind::List(&Kind::Id, Roster::MAX_USERS);

fn for_patients(routes: Routes) -> Routes {
    routes
        .add(
            post(
                "/users/send-message",
                "As a patient: send a message to a doctor.",
            )
            .takes(&[&[needed("doctorId", Kind::Id)], &MESSAGE], MESSAGE_NEEDS)
            .answers::<Message>(StatusCode::CREATED)
            .fails(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT]),
            roles::send_to_doctor,
        )
        .add(
            get(
                "/users/conversations",
                "As a patient: one's own conversations.",
            )
            .query(&[&LIMIT])
            .answers::<Conversations>(StatusCode::OK),
            roles::list,
        )
        .add(
            get(
                "/users/conversations/{id}",
                "As a patient: the history with a doctor.",
            )
            .query(&[&PAGE_LIMIT, &SKIP, &PART])
            .answers::<Messages>(StatusCode::OK)
            .fails(NO_SUCH),
            roles::page,
        )
        .add(
            put(
                "/users/conversations/{id}/read",
                "As a patient: mark what a doctor sent as read.",
            )
            .answers::<Success<()>>(StatusCode::OK)
            .fails(NO_SUCH),
            roles::mark_read,
        )
        .add(
            get(
                "/users/unread-count",
                "As a patient: how many messages one has not read.",
            )
            .answers::<Unread>(StatusCode::OK),
            roles::unread,
        )
}

/// What a failure looks like.
#[derive(Serialize, JsonSchema)]
struct FailureBody<'a> {
    success: bool,
    message: &'a str,
}

/// How these routes tell a failure.
fn style(error: &RestError) -> (StatusCode, Value) {
    let message = match error.token {
        Some(TokenError::Role) => "No access",
        Some(TokenError::Missing | TokenError::Invalid | TokenError::Expired) => "access denied",
        None => error.sentence(),
    };
    let body = FailureBody {
        success: false,
        message,
    };
    (error.status, json!(body))
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Care, parts).map(Self)
    }
}

impl Authenticated {
    /// Refuses a caller of another role.
    fn only(self, role: Role) -> Result<Caller, RestError> {
        if self.0.user.role == role {
            return Ok(self.0);
        }
        Err(RestError::token(TokenError::Role))
    }
}

/// The other user, whom the path names.
struct Peer(UserId);

impl FromRequestParts<Api> for Peer {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        let text = Path::<String>::from_request_parts(parts, api).await;
        text.ok()
            .and_then(|Path(text)| Dialect::Care.user_id(&text).ok())
            .map(Self)
            .ok_or_else(|| RestError::invalid(vec!["The user id is not valid".to_owned()]))
    }
}
