//! What other services have the chat do: say something in a conversation, end tokens.

use axum::{Json, extract::Path};
use chat_domain::{ClientKey, ConversationId, IssuedName, MessageId, Revoked};
use dialects::{
    Text,
    describe::{Kind, Property, needed, optional},
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    A_TEXT, AN_ID, AN_INSTANT, ANY_ACTOR, GROUP, Told, find_app, instant, subject_id, user_id,
};
use crate::{
    app::{App, Target},
    http::{
        error::RestError,
        fields::JsonBody,
        routes::{Routes, post},
    },
};

const PLACE: [Property; 2] = [
    optional("conversationId", Kind::Uuid),
    optional("bookingId", Kind::Id),
];
const MESSAGE: [Property; 2] = [
    needed("content", Kind::Text),
    optional("idempotencyKey", Kind::Text),
];
const REVOKED: [Property; 4] = [
    optional("userId", Kind::Id),
    optional("sessionId", Kind::Id),
    optional("tokenId", Kind::Id),
    optional("expiresAt", Kind::Instant),
];

pub(super) fn routes() -> Routes<App> {
    Routes::of(GROUP)
        .add(
            post(
                "/messages",
                "Say something in a conversation, as the system.",
            )
            .headers(&[&ANY_ACTOR])
            .takes(&[&PLACE, &MESSAGE], &["conversationId", "bookingId"])
            .answers::<PostedBody>(StatusCode::OK)
            .fails(&[StatusCode::CONFLICT]),
            post_message,
        )
        .add(
            post(
                "/revocations",
                "End tokens before their time: those of a user until now, of a sign-in, or one.",
            )
            .headers(&[&ANY_ACTOR])
            .takes(&[&REVOKED], &["userId", "sessionId", "tokenId"])
            .done(),
            post_revocation,
        )
}

/// `POST …/messages` `{conversationId|bookingId, content, idempotencyKey?}`
async fn post_message(
    Told(chat): Told,
    Path(app): Path<String>,
    JsonBody(mut body): JsonBody,
) -> Result<Json<PostedBody>, RestError> {
    let app = find_app(&chat, &app)?;
    let target = if body.has("conversationId") {
        body.required("conversationId", AN_ID, |text| {
            ConversationId::parse(text).ok().map(Target::Conversation)
        })
    } else {
        body.required("bookingId", AN_ID, |text| {
            subject_id(&app, text).map(Target::Booking)
        })
    };
    let content = body.required("content", A_TEXT, |content| Some(content.to_owned()));
    let key = body.optional("idempotencyKey", AN_ID, |text| ClientKey::new(text).ok());
    body.check()?;
    let (Some(target), Some(content)) = (target, content) else {
        return Err(body.rejected());
    };

    let stored = chat
        .post_system_message(&app.id, target, &content, key)
        .await?;
    Ok(Json(PostedBody {
        id: Text(stored.message.id),
        conversation_id: Text(stored.message.conversation),
        seq: stored.message.seq.0,
    }))
}

/// A message that is stored.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PostedBody {
    id: Text<MessageId>,
    conversation_id: Text<ConversationId>,
    seq: u64,
}

/// `POST …/revocations` `{userId|sessionId|tokenId, expiresAt?}`
async fn post_revocation(
    Told(chat): Told,
    Path(app): Path<String>,
    JsonBody(mut body): JsonBody,
) -> Result<StatusCode, RestError> {
    let app = find_app(&chat, &app)?;
    let issued_until = service_kit::now();
    let user = body.optional("userId", AN_ID, |text| user_id(&app, text));
    let session = body.optional("sessionId", AN_ID, |text| IssuedName::new(text).ok());
    let token = body.optional("tokenId", AN_ID, |text| IssuedName::new(text).ok());
    let expires_at = body.optional("expiresAt", AN_INSTANT, instant);
    body.check()?;
    let revoked = match (user, session, token) {
        (Some(user), None, None) => Revoked::User { user, issued_until },
        (None, Some(name), None) => Revoked::Session(name),
        (None, None, Some(name)) => Revoked::Token(name),
        _ => {
            body.note(
                "userId",
                "or sessionId or tokenId, one of them, must be given",
            );
            return Err(body.rejected());
        }
    };

    chat.revoke(&app.id, revoked, expires_at).await?;
    Ok(StatusCode::NO_CONTENT)
}
