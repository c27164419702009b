//! What a user who is back has to be told: where its conversations stand, and what was received.
//!
//! Not here: the messages themselves, which gateways read in ranges.

use chat_domain::{AppId, Conversation, ConversationId, MessageId, Receipt, Timestamp, UserId};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{
    conversations::{self, seq},
    error::{PgError, inconsistent},
};
use crate::ports::{Head, Marked, OwnHead, Received};

/// The mark of a first message says when its conversation began.
pub(super) async fn list_begun(
    pool: &PgPool,
    app: &AppId,
    (began_at, after): (Timestamp, ConversationId),
    limit: u32,
) -> Result<Vec<(Timestamp, Conversation)>, PgError> {
    let rows = sqlx::query!(
        r#"SELECT /* conversations.list_begun */
                  k.created_at AS began_at, c.conversation_id, c.app_id, c.booking_id, c.first_id,
                  c.first_role, c.second_id, c.second_role, c.last_seq, c.last_at, c.created_at
           FROM message_marks k
           JOIN conversations c ON c.conversation_id = k.conversation_id
           WHERE k.seq = 1
             AND (k.created_at, k.conversation_id) > ($2, $3)
             AND c.app_id = $1
           ORDER BY k.created_at, k.conversation_id
           LIMIT $4"#,
        app.as_str(),
        began_at.to_datetime(),
        after.0,
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let began_at = Timestamp::from_datetime(row.began_at);
            let conversation = conversations::Row {
                conversation_id: row.conversation_id,
                app_id: row.app_id,
                booking_id: row.booking_id,
                first_id: row.first_id,
                first_role: row.first_role,
                second_id: row.second_id,
                second_role: row.second_role,
                last_seq: row.last_seq,
                last_at: row.last_at,
                created_at: row.created_at,
            };
            Ok((began_at, conversation.try_into()?))
        })
        .collect()
}

pub(super) async fn list_own_heads(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    limit: u32,
) -> Result<Vec<OwnHead>, PgError> {
    sqlx::query_as!(
        HeadRow,
        r#"SELECT /* conversations.list_own_heads */
                  c.conversation_id, c.last_seq, coalesce(c.last_at, c.created_at) AS "changed_at!"
           FROM participants p
           JOIN conversations c ON c.conversation_id = p.conversation_id
           WHERE p.app_id = $1 AND p.user_id = $2
           ORDER BY coalesce(c.last_at, c.created_at) DESC, c.conversation_id DESC
           LIMIT $3"#,
        app.as_str(),
        user.as_str(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(OwnHead::try_from)
    .collect()
}

pub(super) async fn find_own_heads(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    ids: &[ConversationId],
) -> Result<Vec<OwnHead>, PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        HeadRow,
        r#"SELECT /* conversations.find_own_heads */
                  c.conversation_id, c.last_seq, coalesce(c.last_at, c.created_at) AS "changed_at!"
           FROM participants p
           JOIN conversations c ON c.conversation_id = p.conversation_id
           WHERE p.conversation_id = ANY ($3) AND p.app_id = $1 AND p.user_id = $2"#,
        app.as_str(),
        user.as_str(),
        &ids,
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(OwnHead::try_from)
    .collect()
}

pub(super) async fn list_places(
    pool: &PgPool,
    ids: &[ConversationId],
    at: Timestamp,
) -> Result<Vec<Head>, PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"SELECT /* messages.list_places */
                  c.conversation_id AS "conversation_id!", coalesce(m.seq, 0) AS "seq!"
           FROM unnest($1::uuid[]) AS c (conversation_id)
           LEFT JOIN LATERAL (
               SELECT seq
               FROM messages
               WHERE conversation_id = c.conversation_id
                 AND created_at <= $2
                 AND created_at >= (
                     SELECT created_at FROM message_marks
                     WHERE conversation_id = c.conversation_id
                     ORDER BY seq
                     LIMIT 1)
               ORDER BY created_at DESC
               LIMIT 1) AS m ON true"#,
        &ids,
        at.to_datetime(),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| Ok((ConversationId(row.conversation_id), seq(row.seq)?)))
        .collect()
}

pub(super) async fn list_marked(
    pool: &PgPool,
    ids: &[ConversationId],
    since: Timestamp,
    (depth, limit): (u32, u32),
) -> Result<Vec<Marked>, PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        MarkedRow,
        r#"SELECT /* messages.list_marked */
                  c.conversation_id, m.message_id, m.delivered_at, m.read_at,
                  CASE c.first_id WHEN m.sender_id THEN c.second_id ELSE c.first_id END
                      AS "receiver_id!"
           FROM conversations c
           CROSS JOIN LATERAL (
               SELECT message_id, sender_id, delivered_at, read_at, created_at
               FROM messages
               WHERE conversation_id = c.conversation_id
                 AND created_at >= (
                     SELECT created_at FROM message_marks
                     WHERE conversation_id = c.conversation_id
                     ORDER BY seq
                     LIMIT 1)
               ORDER BY created_at DESC
               LIMIT $3) AS m
           WHERE c.conversation_id = ANY ($1) AND (m.delivered_at >= $2 OR m.read_at >= $2)
           ORDER BY m.created_at
           LIMIT $4"#,
        &ids,
        since.to_datetime(),
        i64::from(depth),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    let mut marked = Vec::new();
    for row in rows {
        row.add_to(&mut marked, since)?;
    }
    Ok(marked)
}

struct HeadRow {
    conversation_id: Uuid,
    last_seq: i64,
    changed_at: OffsetDateTime,
}

impl TryFrom<HeadRow> for OwnHead {
    type Error = PgError;

    fn try_from(row: HeadRow) -> Result<Self, PgError> {
        Ok(Self {
            conversation: ConversationId(row.conversation_id),
            last_seq: seq(row.last_seq)?,
            changed_at: Timestamp::from_datetime(row.changed_at),
        })
    }
}

struct MarkedRow {
    conversation_id: Uuid,
    message_id: Uuid,
    receiver_id: String,
    delivered_at: Option<OffsetDateTime>,
    read_at: Option<OffsetDateTime>,
}

impl MarkedRow {
    /// Adds what was marked since then to what was marked at the same time.
    fn add_to(self, marked: &mut Vec<Marked>, since: Timestamp) -> Result<(), PgError> {
        let conversation = ConversationId(self.conversation_id);
        let user = UserId::new(&self.receiver_id).map_err(inconsistent("conversations"))?;
        for (receipt, at) in [
            (Receipt::Delivered, self.delivered_at),
            (Receipt::Read, self.read_at),
        ] {
            let at = at.map(Timestamp::from_datetime);
            let Some(at) = at.filter(|at| since <= *at) else {
                continue;
            };
            let same = marked.iter_mut().rev().find(|one| {
                one.conversation == conversation
                    && one.receipt == receipt
                    && one.received.at == at
                    && one.user == user
            });
            match same {
                Some(one) => one.received.ids.push(MessageId(self.message_id)),
                None => marked.push(Marked {
                    conversation,
                    receipt,
                    user: user.clone(),
                    received: Received {
                        ids: vec![MessageId(self.message_id)],
                        at,
                    },
                }),
            }
        }
        Ok(())
    }
}
