//! Marks messages as read and as delivered, by the functions that their migration explains.

use chat_domain::{ConversationId, MessageId, Timestamp, UserId};
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
