//! The JSON of what officers are told.

use chat_domain::{Conversation, ConversationId, Message, MessageId, Timestamp};
use dialects::Text;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::Certificate,
    ports_audit::{Head, Recorded},
    ports_records::{Held, Hold},
};

/// Rows of the log of accesses.
#[derive(Serialize, JsonSchema)]
pub(super) struct AccessesBody<'a> {
    accesses: Vec<AccessBody<'a>>,
    /// What to ask for next, unless that was all.
    before: Option<u64>,
}

/// Who did what.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AccessBody<'a> {
    place: u64,
    at: Text<Timestamp>,
    actor: &'a str,
    action: &'a str,
    outcome: &'a str,
    device: Option<&'a str>,
    conversation_id: Option<Text<ConversationId>>,
    first_seq: Option<i64>,
    last_seq: Option<i64>,
    detail: Option<&'a str>,
}

impl<'a> AccessesBody<'a> {
    pub(super) fn new(rows: &'a [Recorded], before: Option<u64>) -> Self {
        let access = |row: &'a Recorded| AccessBody {
            place: row.place,
            at: Text(Timestamp(row.at_us.div_euclid(1_000))),
            actor: &row.actor,
            action: &row.action,
            outcome: &row.outcome,
            device: row.device.as_deref(),
            conversation_id: row.conversation.map(Text),
            first_seq: row.first_seq,
            last_seq: row.last_seq,
            detail: row.detail.as_deref(),
        };
        let accesses = rows.iter().map(access).collect();
        Self { accesses, before }
    }
}

/// A part of a conversation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExportBody<'a> {
    conversation_id: Text<ConversationId>,
    participants: Vec<SideBody<'a>>,
    messages: Vec<KeptBody<'a>>,
    more: bool,
}

/// Who took part.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SideBody<'a> {
    user_id: &'a str,
    role: &'static str,
}

/// A message as it is kept.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeptBody<'a> {
    id: Text<MessageId>,
    seq: u64,
    sender_id: &'a str,
    sender_role: &'static str,
    message_type: &'static str,
    content: &'a str,
    file_url: Option<&'a str>,
    file_name: Option<&'a str>,
    created_at: Text<Timestamp>,
    delivered_at: Option<Text<Timestamp>>,
    read_at: Option<Text<Timestamp>>,
}

impl<'a> ExportBody<'a> {
    pub(super) fn new(conversation: &'a Conversation, messages: &'a [Message], more: bool) -> Self {
        let participants = conversation.participants.iter().map(|side| SideBody {
            user_id: side.user.as_str(),
            role: side.role.as_str(),
        });
        Self {
            conversation_id: Text(conversation.id),
            participants: participants.collect(),
            messages: messages.iter().map(KeptBody::new).collect(),
            more,
        }
    }
}

impl<'a> KeptBody<'a> {
    fn new(message: &'a Message) -> Self {
        let file = message.content.attachment();
        Self {
            id: Text(message.id),
            seq: message.seq.0,
            sender_id: message.sender.as_str(),
            sender_role: message.sender_role.as_str(),
            message_type: message.content.kind().as_str(),
            content: message.content.text(),
            file_url: file.map(|file| &*file.url),
            file_name: file.and_then(|file| file.name.as_deref()),
            created_at: Text(message.created_at),
            delivered_at: message.delivered_at.map(Text),
            read_at: message.read_at.map(Text),
        }
    }
}

/// What is kept whatever its age.
#[derive(Serialize, JsonSchema)]
pub(super) struct HoldsBody<'a> {
    holds: Vec<HoldBody<'a>>,
}

/// Why something is kept.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HoldBody<'a> {
    /// `users` or `conversations`.
    kind: &'static str,
    id: String,
    reason: &'a str,
    placed_by: &'a str,
    placed_at: Text<Timestamp>,
}

impl<'a> HoldsBody<'a> {
    pub(super) fn new(holds: &'a [Hold]) -> Self {
        let hold = |hold: &'a Hold| {
            let (kind, id) = match &hold.held {
                Held::User(id) => ("users", id.as_str().to_owned()),
                Held::Conversation(id) => ("conversations", id.to_string()),
            };
            HoldBody {
                kind,
                id,
                reason: &hold.reason,
                placed_by: &hold.placed_by,
                placed_at: Text(hold.placed_at),
            }
        };
        let holds = holds.iter().map(hold).collect();
        Self { holds }
    }
}

/// What an erasure did so far.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateBody<'a> {
    app: &'a str,
    /// SHA-256 of the user's id.
    user_digest: String,
    messages: u64,
    conversations: u64,
    files: u64,
    tokens_revoked_at: Option<Text<Timestamp>>,
    started_at: Text<Timestamp>,
    finished_at: Option<Text<Timestamp>>,
    /// Where the log of accesses says so.
    head: Option<String>,
}

impl<'a> CertificateBody<'a> {
    pub(super) fn new(certificate: &'a Certificate) -> Self {
        let erasure = &certificate.erasure;
        let head = |link| Head {
            app: certificate.app.clone(),
            link,
        };
        let digest = certificate.user_digest.iter();
        Self {
            app: certificate.app.as_str(),
            user_digest: digest.fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
            messages: erasure.messages,
            conversations: erasure.conversations,
            files: erasure.files,
            tokens_revoked_at: erasure.revoked_at.map(Text),
            started_at: Text(erasure.started_at),
            finished_at: erasure.finished.map(|(at, _)| Text(at)),
            head: erasure.finished.map(|(_, link)| head(link).to_string()),
        }
    }
}

/// Where the log of accesses ends: `app:place:hash`; null where it is empty.
#[derive(Serialize, JsonSchema)]
pub(super) struct HeadBody {
    head: Option<String>,
}

impl HeadBody {
    pub(super) fn new(head: Option<Head>) -> Self {
        let head = head.map(|head| head.to_string());
        Self { head }
    }
}
