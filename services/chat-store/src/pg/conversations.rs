//! Conversations, their positions and what each side has not read.

use chat_domain::{
    AppId, Conversation, ConversationId, Participant, Role, Seq, Subject, SubjectId, Timestamp,
    UserId,
};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::error::{PgError, inconsistent};
use crate::ports::{Head, NewConversation};

/// Finds or makes. A race is decided by the constraint; who lost it finds what the winner made.
pub(super) async fn open(pool: &PgPool, new: &NewConversation) -> Result<Conversation, PgError> {
    let [first, second] = &new.participants;
    let (booking, sides) = (new.booking.as_ref(), [&first.user, &second.user]);
    if let Some(found) = find_of(pool, &new.app, booking, sides).await? {
        return Ok(found);
    }
    sqlx::query!(
        "WITH /* conversations.open */ made AS (
             INSERT INTO conversations (
                 conversation_id, app_id, booking_id, first_id, first_role, second_id, second_role)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT ON CONSTRAINT conversations_subject_key DO NOTHING
             RETURNING conversation_id, app_id, first_id, second_id
         )
         INSERT INTO participants (conversation_id, app_id, user_id)
         SELECT conversation_id, app_id, unnest(ARRAY[first_id, second_id])
         FROM made",
        new.id.0,
        new.app.as_str(),
        new.booking.as_ref().map_or("", SubjectId::as_str),
        first.user.as_str(),
        first.role.as_str(),
        second.user.as_str(),
        second.role.as_str(),
    )
    .execute(pool)
    .await?;
    find_of(pool, &new.app, booking, sides)
        .await?
        .ok_or_else(|| inconsistent("conversations")("made and not found"))
}

pub(super) async fn find_of(
    pool: &PgPool,
    app: &AppId,
    booking: Option<&SubjectId>,
    [first, second]: [&UserId; 2],
) -> Result<Option<Conversation>, PgError> {
    sqlx::query_as!(
        Row,
        "SELECT /* conversations.find_of */
                conversation_id, app_id, booking_id, first_id, first_role, second_id, second_role,
                last_seq, last_at, created_at
         FROM conversations
         WHERE app_id = $1 AND booking_id = $2 AND first_id = $3 AND second_id = $4",
        app.as_str(),
        booking.map_or("", SubjectId::as_str),
        first.as_str(),
        second.as_str(),
    )
    .fetch_optional(pool)
    .await?
    .map(Conversation::try_from)
    .transpose()
}

pub(super) async fn find(
    pool: &PgPool,
    app: &AppId,
    id: ConversationId,
) -> Result<Option<Conversation>, PgError> {
    sqlx::query_as!(
        Row,
        "SELECT /* conversations.find */
                conversation_id, app_id, booking_id, first_id, first_role, second_id, second_role,
                last_seq, last_at, created_at
         FROM conversations
         WHERE conversation_id = $1 AND app_id = $2",
        id.0,
        app.as_str(),
    )
    .fetch_optional(pool)
    .await?
    .map(Conversation::try_from)
    .transpose()
}

pub(super) async fn find_all(
    pool: &PgPool,
    ids: &[ConversationId],
) -> Result<Vec<Conversation>, PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        Row,
        "SELECT /* conversations.find_all */
                conversation_id, app_id, booking_id, first_id, first_role, second_id, second_role,
                last_seq, last_at, created_at
         FROM conversations
         WHERE conversation_id = ANY ($1)",
        &ids,
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(Conversation::try_from)
    .collect()
}

pub(super) async fn list(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    limit: u32,
) -> Result<Vec<Conversation>, PgError> {
    sqlx::query_as!(
        Row,
        "SELECT /* conversations.list */
                c.conversation_id, c.app_id, c.booking_id, c.first_id, c.first_role, c.second_id,
                c.second_role, c.last_seq, c.last_at, c.created_at
         FROM participants p
         JOIN conversations c ON c.conversation_id = p.conversation_id
         WHERE p.app_id = $1 AND p.user_id = $2
         ORDER BY coalesce(c.last_at, c.created_at) DESC, c.conversation_id DESC
         LIMIT $3",
        app.as_str(),
        user.as_str(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(Conversation::try_from)
    .collect()
}

pub(super) async fn list_heads(
    pool: &PgPool,
    app: &AppId,
    ids: &[ConversationId],
) -> Result<Vec<Head>, PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "SELECT /* conversations.list_heads */ conversation_id, last_seq
         FROM conversations
         WHERE conversation_id = ANY ($1) AND app_id = $2",
        &ids,
        app.as_str(),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| Ok((ConversationId(row.conversation_id), seq(row.last_seq)?)))
        .collect()
}

pub(super) fn seq(place: i64) -> Result<Seq, PgError> {
    u64::try_from(place)
        .map(Seq)
        .map_err(inconsistent("conversations"))
}

/// A row of `conversations`.
pub(super) struct Row {
    pub(super) conversation_id: Uuid,
    pub(super) app_id: String,
    pub(super) booking_id: String,
    pub(super) first_id: String,
    pub(super) first_role: String,
    pub(super) second_id: String,
    pub(super) second_role: String,
    pub(super) last_seq: i64,
    pub(super) last_at: Option<OffsetDateTime>,
    pub(super) created_at: OffsetDateTime,
}

impl TryFrom<Row> for Conversation {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let broken = inconsistent("conversations");
        let side = |user: &str, role: &str| {
            Ok::<_, PgError>(Participant::new(
                UserId::new(user).map_err(&broken)?,
                Role::parse(role).map_err(&broken)?,
            ))
        };
        Ok(Self {
            id: ConversationId(row.conversation_id),
            app: AppId::new(&row.app_id).map_err(&broken)?,
            subject: match row.booking_id.as_str() {
                "" => Subject::Pair,
                booking => Subject::Booking(SubjectId::new(booking).map_err(&broken)?),
            },
            participants: [
                side(&row.first_id, &row.first_role)?,
                side(&row.second_id, &row.second_role)?,
            ],
            last_seq: seq(row.last_seq)?,
            created_at: Timestamp::from_datetime(row.created_at),
            updated_at: Timestamp::from_datetime(row.last_at.unwrap_or(row.created_at)),
        })
    }
}
