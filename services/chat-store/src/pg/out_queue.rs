//! What other services are still to be told, after sockets were.

use std::time::Duration;

use chat_domain::{AppId, ConversationId, MessageId, Seq, Timestamp, UserId};
use sqlx::{
    PgPool,
    postgres::types::PgInterval,
    types::{Uuid, time::OffsetDateTime},
};

use super::error::{PgError, inconsistent};
use crate::{
    ports::{OutboxId, Range, Received},
    ports_out::{OutDue, OutFact, OutId},
};

/// Rows that wait at most; the oldest go first.
const MAX_WAITING: i64 = 1_000_000;

/// Moves rows here from the outbox: sockets were told, other services were not.
pub(super) async fn leave(pool: &PgPool, ids: &[OutboxId]) -> Result<(), PgError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "WITH /* outbox.leave */ gone AS (
             DELETE FROM outbox WHERE outbox_id = ANY ($1)
             RETURNING outbox_id, app_ids, conversations, first_seqs, last_seqs
         )
         INSERT INTO out_queue (kind, app_ids, conversations, first_seqs, last_seqs)
         SELECT 'message.created', app_ids, conversations, first_seqs, last_seqs
         FROM gone
         ORDER BY outbox_id",
        &ids,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes rows for ten seconds. A taker that dies leaves them to others.
pub(super) async fn claim(pool: &PgPool, limit: u32) -> Result<Vec<OutDue>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        "UPDATE /* out_queue.claim */ out_queue
         SET due_at = clock_timestamp() + interval '10 seconds'
         WHERE out_id IN (
             SELECT out_id FROM out_queue
             WHERE due_at < clock_timestamp()
             ORDER BY out_id
             LIMIT $1
             FOR UPDATE SKIP LOCKED)
         RETURNING out_id, kind, app_ids, conversations, first_seqs, last_seqs,
                   reader, message_ids, happened_at",
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    let mut due = rows
        .into_iter()
        .map(OutDue::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    due.sort_by_key(|due| due.id);
    Ok(due)
}

pub(super) async fn remove(pool: &PgPool, ids: &[OutId]) -> Result<(), PgError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "DELETE /* out_queue.remove */ FROM out_queue WHERE out_id = ANY ($1)",
        &ids,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives up what is older than `max_age`, and what is too much; returns how many rows.
pub(super) async fn prune(pool: &PgPool, max_age: Duration) -> Result<u64, PgError> {
    let max_age = PgInterval::try_from(max_age)
        .map_err(|source| PgError::from(sqlx::Error::Encode(source)))?;
    let pruned = sqlx::query!(
        "DELETE /* out_queue.prune */ FROM out_queue
         WHERE created_at < now() - $1::interval
            OR out_id <= (SELECT max(out_id) FROM out_queue) - $2",
        max_age,
        MAX_WAITING,
    )
    .execute(pool)
    .await?;
    Ok(pruned.rows_affected())
}

struct Row {
    out_id: i64,
    kind: String,
    app_ids: Vec<String>,
    conversations: Vec<Uuid>,
    first_seqs: Vec<i64>,
    last_seqs: Vec<i64>,
    reader: Option<String>,
    message_ids: Vec<Uuid>,
    happened_at: OffsetDateTime,
}

impl TryFrom<Row> for OutDue {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let app = |id: &str| AppId::new(id).map_err(inconsistent("out_queue"));
        let seq = |seq: i64| {
            u64::try_from(seq)
                .map(Seq)
                .map_err(inconsistent("out_queue"))
        };
        let one = || -> Result<(AppId, ConversationId), PgError> {
            let (Some(id), Some(conversation)) = (row.app_ids.first(), row.conversations.first())
            else {
                return Err(inconsistent("out_queue")("a row about nothing"));
            };
            Ok((app(id)?, ConversationId(*conversation)))
        };
        let fact = match (row.kind.as_str(), &row.reader) {
            ("message.created", _) => OutFact::Appended(
                row.app_ids
                    .iter()
                    .zip(&row.conversations)
                    .zip(row.first_seqs.iter().zip(&row.last_seqs))
                    .map(
                        |((id, conversation), (first, last))| -> Result<Range, PgError> {
                            Ok((
                                app(id)?,
                                ConversationId(*conversation),
                                seq(*first)?,
                                seq(*last)?,
                            ))
                        },
                    )
                    .collect::<Result<_, _>>()?,
            ),
            ("message.read", Some(reader)) => {
                let (app, conversation) = one()?;
                OutFact::Read {
                    app,
                    conversation,
                    reader: UserId::new(reader).map_err(inconsistent("out_queue"))?,
                    received: Received {
                        ids: row.message_ids.iter().copied().map(MessageId).collect(),
                        at: Timestamp::from_datetime(row.happened_at),
                    },
                }
            }
            ("conversation.created", _) => {
                let (app, conversation) = one()?;
                OutFact::Opened { app, conversation }
            }
            _ => return Err(inconsistent("out_queue")("a row of an unknown kind")),
        };
        Ok(Self {
            id: OutId(row.out_id),
            fact,
        })
    }
}
