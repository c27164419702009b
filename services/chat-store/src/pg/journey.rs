//! What is known of a message for whoever asks why it did not arrive. Never what is in it.

use std::time::Duration;

use chat_domain::{AppId, ConversationId, MessageId, Seq, Timestamp, UserId};
use sqlx::PgPool;

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
};
use crate::{
    ports::Answer,
    ports_journey::{LOOK_BACK, Shown, Stored, StoredMessages},
};

/// By how much clocks may differ, and how long a note of who came may be on its way.
const MARGIN: Duration = Duration::from_mins(1);

impl StoredMessages for Pg {
    fn find_stored<'a>(
        &'a self,
        app: &'a AppId,
        id: MessageId,
        user: &'a UserId,
    ) -> Answer<'a, Option<Stored>> {
        answer(find(&self.pool, app, id, user))
    }
}

/// An id tells the time of its message, and so the partition.
async fn find(
    pool: &PgPool,
    app: &AppId,
    id: MessageId,
    user: &UserId,
) -> Result<Option<Stored>, PgError> {
    let sent_at = Timestamp(i64::try_from(id.unix_ms()).unwrap_or(0));
    let row = sqlx::query!(
        r#"SELECT /* messages.find_stored */
                  m.conversation_id, m.seq, m.sender_id, m.created_at, m.delivered_at, m.read_at,
                  EXISTS (
                      SELECT FROM outbox o
                      CROSS JOIN LATERAL unnest(o.conversations, o.first_seqs, o.last_seqs)
                          AS t(conversation_id, first_seq, last_seq)
                      WHERE t.conversation_id = m.conversation_id
                        AND m.seq BETWEEN t.first_seq AND t.last_seq
                  ) AS "is_untold!",
                  (SELECT issued_until FROM revocations
                   WHERE app_id = $3 AND kind = 'user' AND name = $4) AS revoked_until
           FROM messages m
           WHERE m.message_id = $1 AND m.created_at = $2"#,
        id.0,
        sent_at.to_datetime(),
        app.as_str(),
        user.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let broken = inconsistent("messages");
    let (conversation, seq) = (ConversationId(row.conversation_id), row.seq);
    let created_at = Timestamp::from_datetime(row.created_at);
    Ok(Some(Stored {
        conversation,
        seq: Seq(u64::try_from(seq).map_err(inconsistent("messages"))?),
        sender: UserId::new(&row.sender_id).map_err(broken)?,
        created_at,
        delivered_at: row.delivered_at.map(Timestamp::from_datetime),
        read_at: row.read_at.map(Timestamp::from_datetime),
        is_untold: row.is_untold,
        revoked_until: row.revoked_until.map(Timestamp::from_datetime),
        shown: list_shown(pool, app, user, (conversation, seq)).await?,
        connected: list_connected(pool, app, user, created_at).await?,
    }))
}

async fn list_shown(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    (conversation, seq): (ConversationId, i64),
) -> Result<Vec<Shown>, PgError> {
    let rows = sqlx::query!(
        "SELECT /* audit.list_shown */ at, action, device
         FROM audit_log
         WHERE app_id = $1 AND conversation_id = $2 AND actor = $3 AND outcome = 'done'
           AND first_seq <= $4 AND last_seq >= $4
         ORDER BY place
         LIMIT 10",
        app.as_str(),
        conversation.0,
        user.as_str(),
        seq,
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| Shown {
            at: Timestamp::from_datetime(row.at),
            action: row.action,
            device: row.device,
        })
        .collect())
}

async fn list_connected(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    created_at: Timestamp,
) -> Result<Vec<String>, PgError> {
    let since = created_at.before(LOOK_BACK.saturating_sub(MARGIN));
    let devices = sqlx::query_scalar!(
        r#"SELECT /* audit.list_connected */ device AS "device!"
           FROM audit_log
           WHERE app_id = $1 AND actor = $2 AND action = 'sign_in' AND at >= $3
             AND device IS NOT NULL
           ORDER BY place DESC
           LIMIT 100"#,
        app.as_str(),
        user.as_str(),
        since.to_datetime(),
    )
    .fetch_all(pool)
    .await?;
    Ok(devices)
}
