//! Reading messages.
//!
//! History is read in the order of `created_at`, which the partitions follow, between two bounds that
//! `message_marks` gives: so only the partitions that hold the page are opened.

use chat_domain::{
    Attachment, ClientKey, Content, ConversationId, Message, MessageId, MessageKind, Role, Seq,
    Timestamp, UserId,
};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::error::{PgError, inconsistent};
use crate::ports::Slice;

pub(super) async fn list(
    pool: &PgPool,
    conversation: ConversationId,
    slice: Slice,
    part: (u32, Option<Timestamp>),
) -> Result<Vec<Message>, PgError> {
    let rows = match slice {
        Slice::Before(seq) => list_before(pool, conversation, seq, part).await?,
        Slice::After(seq) => list_after(pool, conversation, seq, part).await?,
    };
    rows.into_iter().map(Message::try_from).collect()
}

async fn list_before(
    pool: &PgPool,
    conversation: ConversationId,
    before: Seq,
    (limit, since): (u32, Option<Timestamp>),
) -> Result<Vec<Row>, PgError> {
    Ok(sqlx::query_as!(
        Row,
        "SELECT /* messages.list_before */
                message_id, conversation_id, seq, sender_id, sender_role, kind, content, file_url,
                file_name, client_key, created_at, delivered_at, read_at
         FROM messages
         WHERE conversation_id = $1
           AND seq < $2
           AND created_at >= greatest($4, (
               SELECT created_at FROM message_marks
               WHERE conversation_id = $1
               ORDER BY seq
               LIMIT 1))
           AND created_at <= coalesce((
               SELECT created_at FROM message_marks
               WHERE conversation_id = $1 AND seq >= $2
               ORDER BY seq
               LIMIT 1), 'infinity')
         ORDER BY created_at DESC
         LIMIT $3",
        conversation.0,
        place(before),
        i64::from(limit),
        since.map(Timestamp::to_datetime),
    )
    .fetch_all(pool)
    .await?)
}

async fn list_after(
    pool: &PgPool,
    conversation: ConversationId,
    after: Seq,
    (limit, since): (u32, Option<Timestamp>),
) -> Result<Vec<Row>, PgError> {
    Ok(sqlx::query_as!(
        Row,
        "SELECT /* messages.list_after */
                message_id, conversation_id, seq, sender_id, sender_role, kind, content, file_url,
                file_name, client_key, created_at, delivered_at, read_at
         FROM messages
         WHERE conversation_id = $1
           AND seq > $2
           AND created_at >= greatest($4, coalesce((
               SELECT created_at FROM message_marks
               WHERE conversation_id = $1 AND seq <= $2 + 1
               ORDER BY seq DESC
               LIMIT 1), (
               SELECT created_at FROM message_marks
               WHERE conversation_id = $1
               ORDER BY seq
               LIMIT 1)))
         ORDER BY created_at
         LIMIT $3",
        conversation.0,
        place(after),
        i64::from(limit),
        since.map(Timestamp::to_datetime),
    )
    .fetch_all(pool)
    .await?)
}

/// An id tells the time of its message, which with the conversation is the key.
pub(super) async fn find(
    pool: &PgPool,
    conversation: ConversationId,
    id: MessageId,
) -> Result<Option<Message>, PgError> {
    let sent_at = Timestamp(i64::try_from(id.unix_ms()).unwrap_or(0));
    sqlx::query_as!(
        Row,
        "SELECT /* messages.find */
                message_id, conversation_id, seq, sender_id, sender_role, kind, content, file_url,
                file_name, client_key, created_at, delivered_at, read_at
         FROM messages
         WHERE conversation_id = $1 AND created_at = $2 AND message_id = $3",
        conversation.0,
        sent_at.to_datetime(),
        id.0,
    )
    .fetch_optional(pool)
    .await?
    .map(Message::try_from)
    .transpose()
}

pub(super) fn epoch(epoch: i64) -> Result<u64, PgError> {
    u64::try_from(epoch).map_err(inconsistent("epoch"))
}

/// Returns a place for SQL, with room for the one after it.
fn place(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX).min(i64::MAX - 1)
}

/// A row of `messages`.
pub(super) struct Row {
    pub(super) message_id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) seq: i64,
    pub(super) sender_id: String,
    pub(super) sender_role: String,
    pub(super) kind: String,
    pub(super) content: String,
    pub(super) file_url: Option<String>,
    pub(super) file_name: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) created_at: OffsetDateTime,
    pub(super) delivered_at: Option<OffsetDateTime>,
    pub(super) read_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Message {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let broken = inconsistent("messages");
        let attachment = row.file_url.map(|url| Attachment {
            url,
            name: row.file_name,
        });
        Ok(Self {
            id: MessageId(row.message_id),
            conversation: ConversationId(row.conversation_id),
            seq: Seq(u64::try_from(row.seq).map_err(inconsistent("messages"))?),
            sender: UserId::new(&row.sender_id).map_err(&broken)?,
            sender_role: Role::parse(&row.sender_role).map_err(&broken)?,
            client_key: row
                .client_key
                .as_deref()
                .map(ClientKey::new)
                .transpose()
                .map_err(&broken)?,
            content: Content::stored(
                MessageKind::parse(&row.kind).map_err(&broken)?,
                row.content,
                attachment,
            ),
            created_at: Timestamp::from_datetime(row.created_at),
            delivered_at: row.delivered_at.map(Timestamp::from_datetime),
            read_at: row.read_at.map(Timestamp::from_datetime),
        })
    }
}
