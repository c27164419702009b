//! REST of the consult dialect, below `/api/v1`.
//!
//! Handlers translate: they read a request, call one use case and write its answer. Who may do what
//! is decided there, but for requests that name users: those must be the caller.

mod attachments;
mod calls;
mod conversations;
mod ice_servers;
mod messages;
mod presence;

use axum::extract::{FromRequestParts, Path};
use chat_domain::{Conversation, ConversationId, Dialect, Role, SubjectId, UserId};
use dialects::{
    UploadBody,
    consult::{
        CallBody, ConversationBody, FoundBody, HistoryBody, IceServersBody, MarkedBody, PostedBody,
        PresenceBody, UnreadBody,
    },
    describe::{Kind, MESSAGE, MESSAGE_NEEDS, Property, Schemas, needed, optional},
};
use http::{StatusCode, request::Parts};
use uuid::Uuid;

use super::{
    Api, auth,
    error::{FailureBody, RestError},
    fields::Fields,
    files::FILE,
    page::{LIMIT, OFFSET, PART},
    routes::{Group, NO_SUCH, Routes, TO_USERS, get, post},
};
use crate::app::Caller;

/// What these routes have in common.
const GROUP: Group = Group {
    name: "consult",
    below: "/api/v1",
    failure: Schemas::refer::<FailureBody<'static>>,
    invalid: StatusCode::BAD_REQUEST,
    refused: TO_USERS,
};

const MEETING: [Property; 3] = [
    needed("consultantId", Kind::Uuid),
    needed("patientId", Kind::Uuid),
    needed("bookingId", Kind::Uuid),
];
const ROLES: Kind = Kind::OneOf(&["consultant", "patient"]);
const MESSAGE_IDS: Kind = Kind::List(&Kind::Uuid, messages::MAX_MARKED);

pub(super) fn routes() -> Routes {
    around_messages(Routes::of(GROUP))
        .add(
            get(
                "/chat/conversations",
                "One's own conversations, those that changed last first. Exactly one of the ids, one's own.",
            )
            .query(&[
                &[optional("consultantId", Kind::Uuid), optional("patientId", Kind::Uuid)],
                &LIMIT,
            ])
            .answers::<Vec<ConversationBody<'static>>>(StatusCode::OK),
            conversations::list,
        )
        .add(
            post(
                "/chat/conversations",
                "The conversation of a booking, made unless it was there.",
            )
            .takes(&[&MEETING], &[])
            .answers::<ConversationBody<'static>>(StatusCode::CREATED)
            .fails(&[StatusCode::NOT_FOUND]),
            conversations::open,
        )
        .add(
            get(
                "/chat/conversations/{id}/messages",
                "A page of the history, newest first unless the app says otherwise.",
            )
            .query(&[&LIMIT, &OFFSET, &PART])
            .answers::<HistoryBody<'static>>(StatusCode::OK)
            .fails(NO_SUCH),
            messages::page,
        )
        .add(
            get(
                "/chat/conversations/{id}/unread",
                "How many messages one has not read.",
            )
            .query(&[&[needed("userId", Kind::Uuid)]])
            .answers::<UnreadBody>(StatusCode::OK)
            .fails(NO_SUCH),
            conversations::unread,
        )
        .add(
            post(
                "/chat/conversations/{id}/read",
                "Mark messages of the other side as read.",
            )
            .takes(&[&[needed("messageIds", MESSAGE_IDS)]], &[])
            .answers::<MarkedBody>(StatusCode::OK)
            .fails(NO_SUCH),
            messages::mark_read,
        )
        .add(
            post(
                "/chat/conversations/{id}/attachments",
                "Announce a file, and learn where its bytes go.",
            )
            .takes(&[&FILE], &[])
            .answers::<UploadBody<'static>>(StatusCode::CREATED)
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
            post("/chat/messages", "Send a message about a booking.")
                .takes(&[&MEETING, &[needed("senderType", ROLES)], &MESSAGE], MESSAGE_NEEDS)
                .answers::<PostedBody<'static>>(StatusCode::CREATED)
                .fails(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT]),
            messages::send,
        )
        .add(
            get("/chat/search", "The newest messages that hold all words.")
                .query(&[&[needed("query", Kind::Text)]])
                .answers::<FoundBody<'static>>(StatusCode::OK)
                .fails(&[StatusCode::PAYLOAD_TOO_LARGE]),
            messages::search,
        )
}

fn around_messages(routes: Routes) -> Routes {
    routes
        .add(
            get("/chat/calls", "One's calls, newest first.")
                .query(&[&LIMIT, &[optional("before", Kind::Uuid)]])
                .answers::<Vec<CallBody<'static>>>(StatusCode::OK),
            calls::list,
        )
        .add(
            get("/chat/calls/{id}", "A call that one was in.")
                .answers::<CallBody<'static>>(StatusCode::OK)
                .fails(NO_SUCH),
            calls::find,
        )
        .add(
            get("/chat/presence", "Who is there, as far as one may know.")
                .query(&[&[needed("userIds", Kind::UuidList)]])
                .answers::<Vec<PresenceBody<'static>>>(StatusCode::OK),
            presence::list,
        )
        .add(
            get(
                "/chat/ice-servers",
                "What an `RTCPeerConnection` needs, for a while.",
            )
            .answers::<IceServersBody<'static>>(StatusCode::OK)
            .asks_nobody(),
            ice_servers::list,
        )
}

/// The caller, a user of an app of this dialect.
struct Authenticated(Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        auth::authenticate(api, Dialect::Consult, parts).map(Self)
    }
}

/// The conversation that the path names.
struct InPath(ConversationId);

impl FromRequestParts<Api> for InPath {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, RestError> {
        let text = Path::<String>::from_request_parts(parts, api).await;
        text.ok()
            .and_then(|Path(text)| ConversationId::parse(&text).ok())
            .map(Self)
            .ok_or_else(|| RestError::invalid(vec![format!("conversationId {A_UUID}")]))
    }
}

/// What a booking brings together.
struct Meeting {
    consultant: UserId,
    patient: UserId,
    booking: SubjectId,
}

impl Meeting {
    /// Reads `consultantId`, `patientId` and `bookingId`.
    fn read(body: &mut Fields) -> Option<Self> {
        let consultant = body.required("consultantId", A_UUID, user_id);
        let patient = body.required("patientId", A_UUID, user_id);
        let booking = body.required("bookingId", A_UUID, booking_id);
        Some(Self {
            consultant: consultant?,
            patient: patient?,
            booking: booking?,
        })
    }

    /// Returns its conversation, made unless it was there.
    async fn open(self, api: &Api, caller: &Caller) -> Result<Conversation, RestError> {
        let takes_part = is_self(caller, Role::Consultant, &self.consultant)
            || is_self(caller, Role::Patient, &self.patient);
        if !takes_part {
            return Err(RestError::forbidden("You are neither of the two users"));
        }
        let conversation = api
            .app
            .open_conversation(caller, self.consultant, self.patient, self.booking)
            .await?;
        Ok(conversation)
    }
}

/// What is wrong with a text that is no UUID.
const A_UUID: &str = "must be a UUID";

/// Reads the id of a booking.
pub(super) fn booking_id(text: &str) -> Option<SubjectId> {
    SubjectId::new(&uuid(text)?).ok()
}

/// Reads the id of a user.
pub(super) fn user_id(text: &str) -> Option<UserId> {
    UserId::new(&uuid(text)?).ok()
}

/// Reads a UUID in its hyphenated form; letters of either case are the same id.
fn uuid(text: &str) -> Option<String> {
    let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    Some(uuid.to_string())
}

/// Tells whether the caller is `user` in `role`.
fn is_self(caller: &Caller, role: Role, user: &UserId) -> bool {
    caller.user.role == role && &caller.user.id == user
}
