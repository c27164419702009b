//! Batches that may not have been told. They are written by `append_messages`.

use chat_domain::{AppId, ConversationId, Seq};
use sqlx::PgPool;

use super::error::{PgError, inconsistent};
use crate::ports::{Due, OutboxId};

/// Takes rows for ten seconds. A taker that dies leaves them to others.
pub(super) async fn claim(pool: &PgPool, limit: u32) -> Result<Vec<Due>, PgError> {
    let rows = sqlx::query!(
        r#"UPDATE /* outbox.claim */ outbox
           SET due_at = clock_timestamp() + interval '10 seconds'
           WHERE outbox_id IN (
               SELECT outbox_id FROM outbox
               WHERE due_at < clock_timestamp()
               ORDER BY outbox_id
               LIMIT $1
               FOR UPDATE SKIP LOCKED)
           RETURNING outbox_id, app_ids, conversations, first_seqs, last_seqs"#,
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    let mut due = rows
        .into_iter()
        .map(|row| {
            let ranges = row
                .app_ids
                .iter()
                .zip(row.conversations)
                .zip(row.first_seqs.into_iter().zip(row.last_seqs))
                .map(|((app, conversation), (first, last))| {
                    Ok((
                        AppId::new(app).map_err(inconsistent("outbox"))?,
                        ConversationId(conversation),
                        Seq(u64::try_from(first).map_err(inconsistent("outbox"))?),
                        Seq(u64::try_from(last).map_err(inconsistent("outbox"))?),
                    ))
                })
                .collect::<Result<_, PgError>>()?;
            Ok(Due {
                id: OutboxId(row.outbox_id),
                ranges,
            })
        })
        .collect::<Result<Vec<_>, PgError>>()?;
    due.sort_by_key(|batch| batch.id);
    Ok(due)
}

pub(super) async fn remove(pool: &PgPool, ids: &[OutboxId]) -> Result<(), PgError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "DELETE /* outbox.remove */ FROM outbox WHERE outbox_id = ANY ($1)",
        &ids,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn age_seconds(pool: &PgPool) -> Result<f64, PgError> {
    let age = sqlx::query_scalar!(
        r#"SELECT /* outbox.age_seconds */
                  extract(epoch FROM clock_timestamp() - created_at)::float8 AS "age!"
           FROM outbox
           ORDER BY outbox_id
           LIMIT 1"#,
    )
    .fetch_optional(pool)
    .await?;
    Ok(age.unwrap_or(0.0))
}
