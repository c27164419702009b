//! Who shares a conversation with whom.

use chat_domain::{AppId, UserId};
use sqlx::PgPool;

use super::error::{PgError, inconsistent};

/// Returns at most `limit` contacts of each user, as pairs.
pub(super) async fn list(
    pool: &PgPool,
    app: &AppId,
    users: &[&UserId],
    limit: u32,
) -> Result<Vec<(UserId, UserId)>, PgError> {
    let users: Vec<&str> = users.iter().map(|user| user.as_str()).collect();
    let rows = sqlx::query!(
        r#"SELECT /* contacts.list */ u.user_id AS "user_id!", contact.user_id AS "contact_id!"
           FROM unnest($2::text[]) AS u (user_id)
           CROSS JOIN LATERAL (
               SELECT DISTINCT other.user_id
               FROM participants own
               JOIN participants other ON other.conversation_id = own.conversation_id
               WHERE own.app_id = $1 AND own.user_id = u.user_id AND other.user_id <> u.user_id
               LIMIT $3
           ) AS contact"#,
        app.as_str(),
        &users as &[&str],
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| Ok((user_id(&row.user_id)?, user_id(&row.contact_id)?)))
        .collect()
}

/// Returns those of `users` who are contacts of `user`.
pub(super) async fn among(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    users: &[UserId],
) -> Result<Vec<UserId>, PgError> {
    let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
    let contacts = sqlx::query_scalar!(
        "SELECT /* contacts.among */ DISTINCT other.user_id
         FROM participants other
         JOIN participants own ON own.conversation_id = other.conversation_id
         WHERE other.app_id = $1 AND other.user_id = ANY ($3)
           AND own.user_id = $2 AND other.user_id <> $2",
        app.as_str(),
        user.as_str(),
        &users as &[&str],
    )
    .fetch_all(pool)
    .await?;
    contacts.iter().map(|contact| user_id(contact)).collect()
}

fn user_id(text: &str) -> Result<UserId, PgError> {
    UserId::new(text).map_err(inconsistent("participants"))
}
