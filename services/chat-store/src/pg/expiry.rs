//! Messages that leave the tables, by the functions that their migration explains.

use chat_domain::{AppId, ConversationId, Timestamp};
use sqlx::PgPool;

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
};
use crate::ports::{Answer, Shredder};

impl Shredder for Pg {
    fn expire<'a>(
        &'a self,
        app: &'a AppId,
        before: Timestamp,
        after: ConversationId,
        limit: u32,
    ) -> Answer<'a, (u64, Option<ConversationId>)> {
        answer(expire(&self.pool, app, before, (after, limit)))
    }

    fn drop_partitions(&self, before: Timestamp) -> Answer<'_, u32> {
        answer(drop_partitions(&self.pool, before))
    }
}

async fn expire(
    pool: &PgPool,
    app: &AppId,
    before: Timestamp,
    (after, limit): (ConversationId, u32),
) -> Result<(u64, Option<ConversationId>), PgError> {
    let row = sqlx::query!(
        r#"SELECT /* messages.expire */ deleted AS "deleted!", go_on
           FROM expire_messages($1, $2, $3, $4)"#,
        app.as_str(),
        before.to_datetime(),
        after.0,
        i64::from(limit),
    )
    .fetch_one(pool)
    .await?;
    let deleted = u64::try_from(row.deleted).map_err(inconsistent("messages"))?;
    Ok((deleted, row.go_on.map(ConversationId)))
}

async fn drop_partitions(pool: &PgPool, before: Timestamp) -> Result<u32, PgError> {
    let dropped = sqlx::query_scalar!(
        r#"SELECT /* messages.drop_partitions */ drop_empty_message_partitions($1) AS "dropped!""#,
        before.to_datetime(),
    )
    .fetch_one(pool)
    .await?;
    u32::try_from(dropped).map_err(inconsistent("messages"))
}
