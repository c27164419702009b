//! What all dialects have in common: events that go beyond the seeds, and the shape of errors.
//!
//! Messages inside of them are still the dialect's own.

use std::{collections::BTreeMap, fmt::Display};

use chat_domain::{
    Attachment, ChatError, ClientKey, Conversation, ConversationId, Message, MessageId,
    MessageKind, Place, Seq, Timestamp, UserId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Command, Failure, Rejection, Send, ServerEvent, Synced,
    describe::{Kind, Said, needed},
    payload::{Field, INVALID_DATA, Payload},
    text::{Spelled, Text, texts},
};

/// The client's events that all dialects have.
pub(crate) const SYNC: Said = Said::of(
    "sync",
    "Ask for what was missed in own conversations, after a place in each.",
    &[&[needed("since", Kind::Places)]],
)
.answered(&["sync_result"]);
pub(crate) const REFRESH: Said = Said::of(
    "auth:refresh",
    "Extend the session with a newer token of the same user.",
    &[&[needed("token", Kind::Text)]],
)
.answered(&["auth:refreshed"]);

/// What a bigint holds: no sequence comes near it.
const MAX_SEQ: u64 = i64::MAX.unsigned_abs();

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    since: Field<'a>,
    token: Field<'a>,
}

/// Decodes `sync`; `place` reads the keys, which name conversations in the dialect's way.
pub(crate) fn sync(
    json: &str,
    place: impl Fn(&str) -> Option<Place>,
) -> Result<Command, Rejection> {
    let payload: Payload<Fields<'_>> = Payload::parse("sync", INVALID_DATA, json)?;
    let since: BTreeMap<String, u64> = payload.value(payload.fields.since)?.unwrap_or_default();
    let invalid = || Rejection::invalid(payload.event, INVALID_DATA);
    if !(1..=Command::MAX_SYNCED).contains(&since.len()) {
        return Err(invalid());
    }
    let since = since
        .into_iter()
        .map(|(key, seq)| match place(&key) {
            Some(place) if seq <= MAX_SEQ => Ok((place, Seq(seq))),
            _ => Err(invalid()),
        })
        .collect::<Result<_, _>>()?;
    Ok(Command::Sync { since })
}

/// Decodes `auth:refresh`.
pub(crate) fn refresh(json: &str) -> Result<Command, Rejection> {
    let missing = "Missing required fields";
    let payload: Payload<Fields<'_>> = Payload::parse("auth:refresh", missing, json)?;
    let token = payload.required(payload.fields.token)?;
    Ok(Command::RefreshToken { token })
}

/// Reads the id of a conversation where others may stand beside it: ours are of version 7.
pub(crate) fn own_id(key: &str) -> Option<ConversationId> {
    let id = ConversationId::parse(key).ok()?;
    (id.0.get_version_num() == 7).then_some(id)
}

/// Reads ids of messages. What is no id of ours names nothing, and is left out.
pub(crate) fn known_ids(ids: &[String]) -> Vec<MessageId> {
    let ids = ids.iter();
    ids.filter_map(|id| MessageId::parse(id).ok()).collect()
}

/// A message as a client wrote it.
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) url: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) client_key: Option<String>,
}

impl Draft {
    /// Checks the parts, and addresses it to `target`.
    pub(crate) fn to(self, target: String, event: &'static str) -> Result<Send, Rejection> {
        let reject = |error: ChatError| Rejection::of(event, &error);
        let name = self.name.as_deref();
        let attachment = self
            .url
            .map(|url| Attachment::new(&url, name))
            .transpose()
            .map_err(reject)?;
        let kind = match self.kind {
            Some(kind) => MessageKind::parse(&kind).map_err(reject)?,
            None if attachment.is_some() => MessageKind::File,
            None => MessageKind::Text,
        };
        let client_key = self
            .client_key
            .map(|key| ClientKey::new(&key))
            .transpose()
            .map_err(reject)?;
        Ok(Send {
            target,
            kind,
            text: self.text,
            attachment,
            client_key,
        })
    }
}

/// Messages reached `userId`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "C: Display")]
#[schemars(rename = "DeliveredBody", bound = "C: Spelled")]
pub(crate) struct DeliveredBody<'a, C> {
    conversation_id: Text<C>,
    #[serde(serialize_with = "texts")]
    #[schemars(with = "Vec<Text<MessageId>>")]
    message_ids: &'a [MessageId],
    user_id: &'a str,
    delivered_at: Text<Timestamp>,
}

/// Encodes for the sender that messages reached `reader`.
pub(crate) fn message_delivered(
    conversation: impl Display,
    ids: &[MessageId],
    reader: &UserId,
    at: Timestamp,
) -> ServerEvent {
    ServerEvent::new(
        "message_delivered",
        &DeliveredBody {
            conversation_id: Text(conversation),
            message_ids: ids,
            user_id: reader.as_str(),
            delivered_at: Text(at),
        },
    )
}

/// What was missed.
#[derive(Serialize, JsonSchema)]
#[serde(bound = "K: Display, C: Serialize, M: Serialize")]
#[schemars(
    rename = "SyncResultBody",
    bound = "K: Spelled, C: JsonSchema, M: JsonSchema"
)]
pub(crate) struct SyncResultBody<K, C, M> {
    conversations: Vec<SyncedBody<K, C, M>>,
}

/// What was missed in one conversation; with `more`, the client asks again from the last message.
#[derive(Serialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    bound = "K: Display, C: Serialize, M: Serialize"
)]
#[schemars(
    rename = "SyncedBody",
    bound = "K: Spelled, C: JsonSchema, M: JsonSchema"
)]
struct SyncedBody<K, C, M> {
    conversation_id: Text<K>,
    conversation: C,
    messages: Vec<M>,
    more: bool,
}

/// Encodes the answer to `sync`, with the dialect's names of conversations, and its bodies of them
/// and of their messages.
pub(crate) fn sync_result<'a, K: Display, C: Serialize, M: Serialize>(
    synced: &[Synced<'a>],
    id: impl Fn(&'a Conversation) -> K,
    conversation: impl Fn(&'a Conversation) -> C,
    message: impl Fn(&'a Message, &'a Conversation) -> M,
) -> ServerEvent {
    let conversations = synced
        .iter()
        .map(|part| SyncedBody {
            conversation_id: Text(id(part.conversation)),
            conversation: conversation(part.conversation),
            messages: part
                .messages
                .iter()
                .map(|one| message(one, part.conversation))
                .collect(),
            more: part.more,
        })
        .collect();
    ServerEvent::new("sync_result", &SyncResultBody { conversations })
}

/// Returns the id that we gave a conversation.
pub(crate) const fn id(conversation: &Conversation) -> ConversationId {
    conversation.id
}

/// Where the conversations of a socket stand that was not told everything.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ResyncBody {
    conversations: Vec<HeadBody>,
}

/// Where a conversation stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HeadBody {
    conversation_id: Text<ConversationId>,
    last_seq: u64,
}

/// Encodes that a socket was not told everything: it fetches what lies before each place.
pub(crate) fn resync(heads: &[(ConversationId, Seq)]) -> ServerEvent {
    let conversations = heads
        .iter()
        .map(|(conversation, last_seq)| HeadBody {
            conversation_id: Text(*conversation),
            last_seq: last_seq.0,
        })
        .collect();
    ServerEvent::new("resync", &ResyncBody { conversations })
}

/// Until when the session lasts now.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefreshedBody {
    expires_at: Text<Timestamp>,
}

/// Encodes that a newer token was taken, and until when the session lasts now.
pub(crate) fn auth_refreshed(expires_at: Timestamp) -> ServerEvent {
    let expires_at = Text(expires_at);
    ServerEvent::new("auth:refreshed", &RefreshedBody { expires_at })
}

/// Something failed: the event that did, if one did, and when another attempt may succeed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// Encodes a failure as the event `name`.
pub(crate) fn failed(name: &'static str, failure: &Failure<'_>) -> ServerEvent {
    ServerEvent::new(
        name,
        &ErrorBody {
            message: &failure.message,
            code: failure.code,
            event: failure.event,
            retry_after_ms: failure.retry_after_ms,
        },
    )
}
