//! Marks messages as read and as delivered, by the functions that their migration explains.

use chat_domain::{AppId, ConversationId, MessageId, Timestamp, UserId};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{error::PgError, messages::epoch};
use crate::ports::{Delivery, Received};

pub(super) async fn read(
    pool: &PgPool,
    conversation: ConversationId,
    user: &UserId,
    ids: &[MessageId],
) -> Result<(Received, u64), PgError> {
    let times = ids.iter().copied().map(time);
    let (oldest, newest) = (times.clone().min(), times.max());
    let raw: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        Row,
        r#"SELECT /* messages.read */
                  message_ids AS "message_ids!", marked_at AS "marked_at!", epoch AS "epoch!"
           FROM read_messages($1, $2, $3, $4, $5)"#,
        conversation.0,
        user.as_str(),
        &raw,
        oldest.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        newest.unwrap_or(OffsetDateTime::UNIX_EPOCH),
    )
    .fetch_one(pool)
    .await?
    .try_into()
}

pub(super) async fn read_newest(
    pool: &PgPool,
    conversation: ConversationId,
    user: UserId,
    limit: u32,
) -> Result<(Received, u64), PgError> {
    sqlx::query_as!(
        Row,
        r#"SELECT /* messages.read_newest */
                  message_ids AS "message_ids!", marked_at AS "marked_at!", epoch AS "epoch!"
           FROM read_newest_messages($1, $2, $3)"#,
        conversation.0,
        user.as_str(),
        i64::from(limit),
    )
    .fetch_one(pool)
    .await?
    .try_into()
}

/// An id tells the time of its message, so each opens one partition.
pub(super) async fn locate(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    ids: &[MessageId],
) -> Result<Vec<(ConversationId, MessageId)>, PgError> {
    let raw: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let times: Vec<OffsetDateTime> = ids.iter().copied().map(time).collect();
    let rows = sqlx::query!(
        r#"SELECT /* messages.locate */ m.conversation_id, m.message_id
           FROM unnest($3::uuid[], $4::timestamptz[]) AS t (id, at)
           CROSS JOIN LATERAL (
               SELECT conversation_id, message_id
               FROM messages
               WHERE message_id = t.id AND created_at = t.at
               LIMIT 1) AS m
           JOIN participants p ON p.conversation_id = m.conversation_id
           WHERE p.app_id = $1 AND p.user_id = $2"#,
        app.as_str(),
        user.as_str(),
        &raw,
        &times,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                ConversationId(row.conversation_id),
                MessageId(row.message_id),
            )
        })
        .collect())
}

pub(super) async fn deliver(
    pool: &PgPool,
    deliveries: &[Delivery],
) -> Result<(Received, u64), PgError> {
    let conversations: Vec<Uuid> = deliveries.iter().map(|one| one.conversation.0).collect();
    let users: Vec<&str> = deliveries.iter().map(|one| one.user.as_str()).collect();
    let ids: Vec<Uuid> = deliveries.iter().map(|one| one.message.0).collect();
    let times: Vec<OffsetDateTime> = deliveries.iter().map(|one| time(one.message)).collect();
    sqlx::query_as!(
        Row,
        r#"SELECT /* messages.deliver */
                  message_ids AS "message_ids!", marked_at AS "marked_at!", epoch AS "epoch!"
           FROM deliver_messages($1, $2, $3, $4)"#,
        &conversations,
        &users as &[&str],
        &ids,
        &times,
    )
    .fetch_one(pool)
    .await?
    .try_into()
}

/// An id carries the time of its message; one without a sensible time is of no message.
fn time(id: MessageId) -> OffsetDateTime {
    Timestamp(i64::try_from(id.unix_ms()).unwrap_or(0)).to_datetime()
}

struct Row {
    message_ids: Vec<Uuid>,
    marked_at: OffsetDateTime,
    epoch: i64,
}

impl TryFrom<Row> for (Received, u64) {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let received = Received {
            ids: row.message_ids.into_iter().map(MessageId).collect(),
            at: Timestamp::from_datetime(row.marked_at),
        };
        Ok((received, epoch(row.epoch)?))
    }
}
