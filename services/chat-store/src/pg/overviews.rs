//! All conversations of a user at a glance, and what is in them.
//!
//! The newest message of a conversation is found by its time, which the conversation has; counters are
//! read where they are kept. Only where messages expire are those that nobody read counted one by one.

use chat_domain::{AppId, Conversation, ConversationId, Message, Timestamp, UserId};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{
    Pg, answer, conversations,
    error::{PgError, inconsistent},
    messages,
};
use crate::ports::{Answer, Depth, Overview, Overviews, Wanted};

impl Overviews for Pg {
    fn list_overviews<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        wanted: Wanted<'a>,
    ) -> Answer<'a, Vec<Overview>> {
        answer(list(&self.pool, app, user, wanted))
    }

    fn count_unread<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        since: Option<Timestamp>,
    ) -> Answer<'a, u64> {
        answer(count_unread(&self.pool, app, user, since))
    }

    fn search_messages<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        text: &'a str,
        depth: Depth,
        since: Option<Timestamp>,
    ) -> Answer<'a, Vec<Message>> {
        answer(search(&self.pool, (app, user), text, (depth, since)))
    }
}

async fn list(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    wanted: Wanted<'_>,
) -> Result<Vec<Overview>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT /* conversations.list_overviews */
                  c.conversation_id, c.app_id, c.booking_id, c.first_id, c.first_role, c.second_id,
                  c.second_role, c.last_seq, c.last_at, c.created_at AS started_at,
                  unread_messages(c.conversation_id, $2, p.unread, $5) AS "unread!",
                  m.message_id AS "message_id?", m.seq AS "seq?", m.sender_id AS "sender_id?",
                  m.sender_role AS "sender_role?", m.kind AS "kind?", m.content AS "content?",
                  m.file_url, m.file_name, m.client_key, m.created_at AS "created_at?",
                  m.delivered_at, m.read_at
           FROM (SELECT own.conversation_id, own.unread
                 FROM participants own
                 JOIN conversations c ON c.conversation_id = own.conversation_id
                 WHERE own.app_id = $1 AND own.user_id = $2 AND c.last_seq > 0
                   AND ($4::text IS NULL OR EXISTS (
                       SELECT FROM bookings b
                       WHERE b.app_id = c.app_id AND b.booking_id = c.booking_id
                         AND b.professional_id = $4))
                 ORDER BY c.last_at DESC, c.conversation_id DESC
                 LIMIT $3) AS p
           JOIN conversations c ON c.conversation_id = p.conversation_id
           LEFT JOIN LATERAL (
               SELECT * FROM messages
               WHERE conversation_id = c.conversation_id AND created_at = c.last_at
                 AND created_at >= coalesce($5::timestamptz, '-infinity')
               LIMIT 1) AS m ON true
           ORDER BY c.last_at DESC, c.conversation_id DESC"#,
        app.as_str(),
        user.as_str(),
        i64::from(wanted.limit),
        wanted.business.map(UserId::as_str),
        wanted.since.map(Timestamp::to_datetime),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Overview::try_from).collect()
}

async fn count_unread(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    since: Option<Timestamp>,
) -> Result<u64, PgError> {
    let unread = sqlx::query_scalar!(
        r#"SELECT /* participants.count_unread */
                  coalesce(sum(unread_messages(conversation_id, user_id, unread, $3)), 0)::bigint
                      AS "unread!"
           FROM participants
           WHERE app_id = $1 AND user_id = $2"#,
        app.as_str(),
        user.as_str(),
        since.map(Timestamp::to_datetime),
    )
    .fetch_one(pool)
    .await?;
    count(unread)
}

pub(super) async fn find_unread(
    pool: &PgPool,
    app: &AppId,
    (conversation, user): (ConversationId, &UserId),
    since: Option<Timestamp>,
) -> Result<Option<u64>, PgError> {
    let unread = sqlx::query_scalar!(
        r#"SELECT /* participants.find_unread */
                  unread_messages(conversation_id, user_id, unread, $4) AS "unread!"
           FROM participants
           WHERE conversation_id = $1 AND user_id = $2 AND app_id = $3"#,
        conversation.0,
        user.as_str(),
        app.as_str(),
        since.map(Timestamp::to_datetime),
    )
    .fetch_optional(pool)
    .await?;
    unread.map(count).transpose()
}

/// Reads the newest messages of the newest conversations one by one; see
/// docs/adr/0009-search-reads-what-is-recent.md.
async fn search(
    pool: &PgPool,
    (app, user): (&AppId, &UserId),
    text: &str,
    (depth, since): (Depth, Option<Timestamp>),
) -> Result<Vec<Message>, PgError> {
    let rows = sqlx::query_as!(
        messages::Row,
        r#"SELECT /* messages.search */
                  message_id AS "message_id!", conversation_id AS "conversation_id!", seq AS "seq!",
                  sender_id AS "sender_id!", sender_role AS "sender_role!", kind AS "kind!",
                  content AS "content!", file_url, file_name, client_key,
                  created_at AS "created_at!", delivered_at, read_at
           FROM (SELECT m.*
                 FROM (SELECT own.conversation_id, c.last_at
                       FROM participants own
                       JOIN conversations c ON c.conversation_id = own.conversation_id
                       WHERE own.app_id = $1 AND own.user_id = $2 AND c.last_seq > 0
                       ORDER BY c.last_at DESC
                       LIMIT $4) AS c
                 CROSS JOIN LATERAL (
                     SELECT * FROM messages
                     WHERE conversation_id = c.conversation_id
                       AND created_at <= c.last_at
                       AND created_at >= greatest($7, (
                           SELECT created_at FROM message_marks
                           WHERE conversation_id = c.conversation_id
                           ORDER BY seq
                           LIMIT 1))
                     ORDER BY created_at DESC
                     LIMIT $5) AS m
                 LIMIT $6) AS recent
           WHERE to_tsvector('simple', content) @@ plainto_tsquery('simple', $3)
           ORDER BY created_at DESC
           LIMIT $8"#,
        app.as_str(),
        user.as_str(),
        text,
        i64::from(depth.conversations),
        i64::from(depth.messages),
        i64::from(depth.scanned),
        since.map(Timestamp::to_datetime),
        i64::from(depth.found),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Message::try_from).collect()
}

fn count(unread: i64) -> Result<u64, PgError> {
    u64::try_from(unread).map_err(inconsistent("participants"))
}

struct Row {
    conversation_id: Uuid,
    app_id: String,
    booking_id: String,
    first_id: String,
    first_role: String,
    second_id: String,
    second_role: String,
    last_seq: i64,
    last_at: Option<OffsetDateTime>,
    started_at: OffsetDateTime,
    unread: i64,
    message_id: Option<Uuid>,
    seq: Option<i64>,
    sender_id: Option<String>,
    sender_role: Option<String>,
    kind: Option<String>,
    content: Option<String>,
    file_url: Option<String>,
    file_name: Option<String>,
    client_key: Option<String>,
    created_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    read_at: Option<OffsetDateTime>,
}

impl Row {
    fn last(&mut self) -> Option<messages::Row> {
        Some(messages::Row {
            message_id: self.message_id?,
            conversation_id: self.conversation_id,
            seq: self.seq?,
            sender_id: self.sender_id.take()?,
            sender_role: self.sender_role.take()?,
            kind: self.kind.take()?,
            content: self.content.take()?,
            file_url: self.file_url.take(),
            file_name: self.file_name.take(),
            client_key: self.client_key.take(),
            created_at: self.created_at?,
            delivered_at: self.delivered_at,
            read_at: self.read_at,
        })
    }
}

impl TryFrom<Row> for Overview {
    type Error = PgError;

    fn try_from(mut row: Row) -> Result<Self, PgError> {
        Ok(Self {
            last: row.last().map(Message::try_from).transpose()?,
            unread: count(row.unread)?,
            conversation: Conversation::try_from(conversations::Row {
                conversation_id: row.conversation_id,
                app_id: row.app_id,
                booking_id: row.booking_id,
                first_id: row.first_id,
                first_role: row.first_role,
                second_id: row.second_id,
                second_role: row.second_role,
                last_seq: row.last_seq,
                last_at: row.last_at,
                created_at: row.started_at,
            })?,
        })
    }
}
