//! Who may see whom: contacts, by whatever makes them such in the app.

use chat_domain::{AppId, UserId};
use sqlx::PgPool;

use super::error::{PgError, inconsistent};
use crate::ports::Relation;

/// Returns at most so many contacts of each user, as pairs.
pub(super) async fn list(
    pool: &PgPool,
    app: &AppId,
    relation: Relation,
    (users, limit): (&[&UserId], u32),
) -> Result<Vec<(UserId, UserId)>, PgError> {
    let users: Vec<&str> = users.iter().map(|user| user.as_str()).collect();
    let (app, limit) = (app.as_str(), i64::from(limit));
    let pairs = match relation {
        Relation::Association => list_associated(pool, app, &users, limit).await?,
        Relation::Conversation => list_sharing(pool, app, &users, (limit, true)).await?,
        Relation::Exchange => list_sharing(pool, app, &users, (limit, false)).await?,
    };
    pairs
        .into_iter()
        .map(|pair| Ok((user_id(&pair.user_id)?, user_id(&pair.contact_id)?)))
        .collect()
}

/// A user and one of its contacts.
struct Pair {
    user_id: String,
    contact_id: String,
}

/// Those who share a conversation, perhaps only one with a message in it.
async fn list_sharing(
    pool: &PgPool,
    app: &str,
    users: &[&str],
    (limit, even_empty): (i64, bool),
) -> Result<Vec<Pair>, PgError> {
    Ok(sqlx::query_as!(
        Pair,
        r#"SELECT /* contacts.list */ u.user_id AS "user_id!", contact.user_id AS "contact_id!"
           FROM unnest($2::text[]) AS u (user_id)
           CROSS JOIN LATERAL (
               SELECT DISTINCT other.user_id
               FROM participants own
               JOIN participants other ON other.conversation_id = own.conversation_id
               WHERE own.app_id = $1 AND own.user_id = u.user_id AND other.user_id <> u.user_id
                 AND ($4 OR EXISTS (
                     SELECT FROM conversations c
                     WHERE c.conversation_id = own.conversation_id AND c.last_seq > 0))
               LIMIT $3
           ) AS contact"#,
        app,
        users as &[&str],
        limit,
        even_empty,
    )
    .fetch_all(pool)
    .await?)
}

async fn list_associated(
    pool: &PgPool,
    app: &str,
    users: &[&str],
    limit: i64,
) -> Result<Vec<Pair>, PgError> {
    Ok(sqlx::query_as!(
        Pair,
        r#"SELECT /* contacts.list_associated */
                  u.user_id AS "user_id!", contact.user_id AS "contact_id!"
           FROM unnest($2::text[]) AS u (user_id)
           CROSS JOIN LATERAL (
               SELECT patient_id AS user_id FROM associations
               WHERE app_id = $1 AND doctor_id = u.user_id AND removed_at IS NULL
               UNION
               SELECT doctor_id FROM associations
               WHERE app_id = $1 AND patient_id = u.user_id AND removed_at IS NULL
               LIMIT $3
           ) AS contact"#,
        app,
        users as &[&str],
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// Returns those of the users who are contacts of the first one.
pub(super) async fn among(
    pool: &PgPool,
    app: &AppId,
    relation: Relation,
    (user, users): (&UserId, &[UserId]),
) -> Result<Vec<UserId>, PgError> {
    let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
    let (app, user) = (app.as_str(), user.as_str());
    let contacts = match relation {
        Relation::Association => among_associated(pool, app, user, &users).await?,
        Relation::Conversation => among_sharing(pool, app, user, (&users, true)).await?,
        Relation::Exchange => among_sharing(pool, app, user, (&users, false)).await?,
    };
    contacts.iter().map(|contact| user_id(contact)).collect()
}

async fn among_sharing(
    pool: &PgPool,
    app: &str,
    user: &str,
    (users, even_empty): (&[&str], bool),
) -> Result<Vec<String>, PgError> {
    Ok(sqlx::query_scalar!(
        "SELECT /* contacts.among */ DISTINCT other.user_id
         FROM participants other
         JOIN participants own ON own.conversation_id = other.conversation_id
         WHERE other.app_id = $1 AND other.user_id = ANY ($3)
           AND own.user_id = $2 AND other.user_id <> $2
           AND ($4 OR EXISTS (
               SELECT FROM conversations c
               WHERE c.conversation_id = other.conversation_id AND c.last_seq > 0))",
        app,
        user,
        users as &[&str],
        even_empty,
    )
    .fetch_all(pool)
    .await?)
}

async fn among_associated(
    pool: &PgPool,
    app: &str,
    user: &str,
    users: &[&str],
) -> Result<Vec<String>, PgError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT /* contacts.among_associated */ patient_id AS "user_id!" FROM associations
           WHERE app_id = $1 AND doctor_id = $2 AND patient_id = ANY ($3) AND removed_at IS NULL
           UNION
           SELECT doctor_id FROM associations
           WHERE app_id = $1 AND patient_id = $2 AND doctor_id = ANY ($3) AND removed_at IS NULL"#,
        app,
        user,
        users as &[&str],
    )
    .fetch_all(pool)
    .await?)
}

fn user_id(text: &str) -> Result<UserId, PgError> {
    UserId::new(text).map_err(inconsistent("participants"))
}
