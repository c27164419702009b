//! Users as they are shown, and what two of them are to each other.

use chat_domain::{AppId, Role, User, UserId};
use sqlx::PgPool;

use super::error::{PgError, inconsistent};
use crate::ports::Acquaintance;

pub(super) async fn find(
    pool: &PgPool,
    app: &AppId,
    ids: &[&UserId],
) -> Result<Vec<User>, PgError> {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    sqlx::query_as!(
        Row,
        "SELECT /* users.find */ user_id, role, name, email, avatar_url
         FROM users
         WHERE app_id = $1 AND user_id = ANY ($2)",
        app.as_str(),
        &ids as &[&str],
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(User::try_from)
    .collect()
}

pub(super) async fn find_acquaintance(
    pool: &PgPool,
    app: &AppId,
    one: &UserId,
    other: &UserId,
) -> Result<Acquaintance, PgError> {
    let rows = sqlx::query!(
        r#"SELECT /* users.find_acquaintance */ user_id, role, name, email, avatar_url,
                  EXISTS (
                      SELECT FROM associations
                      WHERE app_id = $1 AND removed_at IS NULL
                        AND (doctor_id = $2 AND patient_id = $3
                             OR doctor_id = $3 AND patient_id = $2)) AS "associated!"
           FROM users
           WHERE app_id = $1 AND user_id IN ($2, $3)"#,
        app.as_str(),
        one.as_str(),
        other.as_str(),
    )
    .fetch_all(pool)
    .await?;
    let associated = rows.iter().any(|row| row.associated);
    let known = rows.into_iter().map(|row| {
        User::try_from(Row {
            user_id: row.user_id,
            role: row.role,
            name: row.name,
            email: row.email,
            avatar_url: row.avatar_url,
        })
    });
    Ok(Acquaintance {
        known: known.collect::<Result<_, _>>()?,
        associated,
    })
}

pub(super) async fn search(
    pool: &PgPool,
    app: &AppId,
    text: &str,
    (role, limit): (Option<Role>, u32),
) -> Result<Vec<User>, PgError> {
    // What the text has of a pattern's signs is meant as it stands.
    let escaped = text
        .replace('\\', r"\\")
        .replace('%', r"\%")
        .replace('_', r"\_");
    sqlx::query_as!(
        Row,
        "SELECT /* users.search */ user_id, role, name, email, avatar_url
         FROM users
         WHERE app_id = $1 AND ($3::text IS NULL OR role = $3)
           AND (user_id ILIKE $2 OR email ILIKE $2 OR name ILIKE $2)
         ORDER BY name, user_id
         LIMIT $4",
        app.as_str(),
        format!("%{escaped}%"),
        role.map(Role::as_str),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(User::try_from)
    .collect()
}

/// A row of `users`.
pub(super) struct Row {
    pub(super) user_id: String,
    pub(super) role: String,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) avatar_url: Option<String>,
}

impl TryFrom<Row> for User {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        Ok(Self {
            id: UserId::new(&row.user_id).map_err(inconsistent("users"))?,
            role: Role::parse(&row.role).map_err(inconsistent("users"))?,
            name: row.name,
            email: row.email,
            avatar_url: row.avatar_url,
        })
    }
}
