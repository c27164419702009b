//! Users, bookings, businesses and associations in Postgres.

use chat_domain::{AppId, Booking, Business, SubjectId, Timestamp, User, UserId};
use sqlx::PgPool;

use super::error::{PgError, inconsistent};

pub(super) async fn put_user(
    pool: &PgPool,
    app: &AppId,
    user: &User,
    version: Option<i64>,
) -> Result<(), PgError> {
    sqlx::query!(
        "INSERT /* users.put */ INTO users AS u (app_id, user_id, role, name, email, avatar_url, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE
         SET role = EXCLUDED.role, name = EXCLUDED.name, email = EXCLUDED.email,
             avatar_url = EXCLUDED.avatar_url,
             version = coalesce(EXCLUDED.version, u.version), updated_at = now()
         WHERE coalesce(EXCLUDED.version >= u.version, true)",
        app.as_str(),
        user.id.as_str(),
        user.role.as_str(),
        user.name,
        user.email,
        user.avatar_url,
        version,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn add_user(pool: &PgPool, app: &AppId, user: &User) -> Result<(), PgError> {
    sqlx::query!(
        "INSERT /* users.add */ INTO users (app_id, user_id, role, name, email, avatar_url)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING",
        app.as_str(),
        user.id.as_str(),
        user.role.as_str(),
        user.name,
        user.email,
        user.avatar_url,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn put_booking(
    pool: &PgPool,
    app: &AppId,
    booking: &Booking,
    version: Option<i64>,
) -> Result<(), PgError> {
    sqlx::query!(
        "INSERT /* bookings.put */ INTO bookings AS b (
             app_id, booking_id, professional_id, client_id, starts_at, ends_at, status, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT ON CONSTRAINT bookings_pkey DO UPDATE
         SET professional_id = EXCLUDED.professional_id, client_id = EXCLUDED.client_id,
             starts_at = EXCLUDED.starts_at, ends_at = EXCLUDED.ends_at, status = EXCLUDED.status,
             version = coalesce(EXCLUDED.version, b.version), updated_at = now()
         WHERE coalesce(EXCLUDED.version >= b.version, true)",
        app.as_str(),
        booking.id.as_str(),
        booking.professional.as_str(),
        booking.client.as_str(),
        booking.starts_at.map(Timestamp::to_datetime),
        booking.ends_at.map(Timestamp::to_datetime),
        booking.status,
        version,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn put_business(
    pool: &PgPool,
    app: &AppId,
    business: &Business,
    version: Option<i64>,
) -> Result<(), PgError> {
    sqlx::query!(
        "INSERT /* businesses.put */ INTO businesses AS b (app_id, business_id, owner_id, name, version)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT businesses_pkey DO UPDATE
         SET owner_id = EXCLUDED.owner_id, name = EXCLUDED.name,
             version = coalesce(EXCLUDED.version, b.version), updated_at = now()
         WHERE coalesce(EXCLUDED.version >= b.version, true)",
        app.as_str(),
        business.id.as_str(),
        business.owner.as_str(),
        business.name,
        version,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn put_association(
    pool: &PgPool,
    app: &AppId,
    doctor: &UserId,
    patient: &UserId,
    version: Option<i64>,
) -> Result<(), PgError> {
    sqlx::query!(
        "INSERT /* associations.put */ INTO associations AS a (app_id, doctor_id, patient_id, version)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT associations_pkey DO UPDATE
         SET removed_at = NULL, version = coalesce(EXCLUDED.version, a.version), updated_at = now()
         WHERE coalesce(EXCLUDED.version >= a.version, true)",
        app.as_str(),
        doctor.as_str(),
        patient.as_str(),
        version,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Leaves a row behind, so that an older version that comes later changes nothing.
pub(super) async fn remove_association(
    pool: &PgPool,
    app: &AppId,
    doctor: &UserId,
    patient: &UserId,
    version: Option<i64>,
) -> Result<(), PgError> {
    sqlx::query!(
        "INSERT /* associations.remove */ INTO associations AS a (
             app_id, doctor_id, patient_id, version, removed_at)
         VALUES ($1, $2, $3, $4, now())
         ON CONFLICT ON CONSTRAINT associations_pkey DO UPDATE
         SET removed_at = EXCLUDED.removed_at,
             version = coalesce(EXCLUDED.version, a.version), updated_at = now()
         WHERE coalesce(EXCLUDED.version >= a.version, true)",
        app.as_str(),
        doctor.as_str(),
        patient.as_str(),
        version,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn find_booking(
    pool: &PgPool,
    app: &AppId,
    id: &SubjectId,
) -> Result<Option<Booking>, PgError> {
    let row = sqlx::query!(
        "SELECT /* bookings.find */ professional_id, client_id, starts_at, ends_at, status
         FROM bookings
         WHERE app_id = $1 AND booking_id = $2",
        app.as_str(),
        id.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        Ok(Booking {
            id: id.clone(),
            professional: UserId::new(&row.professional_id).map_err(inconsistent("bookings"))?,
            client: UserId::new(&row.client_id).map_err(inconsistent("bookings"))?,
            starts_at: row.starts_at.map(Timestamp::from_datetime),
            ends_at: row.ends_at.map(Timestamp::from_datetime),
            status: row.status,
        })
    })
    .transpose()
}

pub(super) async fn find_bookings(
    pool: &PgPool,
    app: &AppId,
    ids: &[&SubjectId],
) -> Result<Vec<(Booking, Option<Business>)>, PgError> {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let rows = sqlx::query!(
        r#"SELECT /* bookings.find_all */ b.booking_id, b.professional_id, b.client_id, b.starts_at,
                  b.ends_at, b.status, s.owner_id AS "owner_id?", s.name AS "name?"
           FROM bookings b
           LEFT JOIN businesses s ON s.app_id = b.app_id AND s.business_id = b.professional_id
           WHERE b.app_id = $1 AND b.booking_id = ANY ($2)"#,
        app.as_str(),
        &ids as &[&str],
    )
    .fetch_all(pool)
    .await?;
    let broken = inconsistent("bookings");
    rows.into_iter()
        .map(|row| {
            let professional = UserId::new(&row.professional_id).map_err(&broken)?;
            let business = match (row.owner_id, row.name) {
                (Some(owner), Some(name)) => Some(Business {
                    id: professional.clone(),
                    owner: UserId::new(&owner).map_err(&broken)?,
                    name,
                }),
                _ => None,
            };
            let booking = Booking {
                id: SubjectId::new(&row.booking_id).map_err(&broken)?,
                professional,
                client: UserId::new(&row.client_id).map_err(&broken)?,
                starts_at: row.starts_at.map(Timestamp::from_datetime),
                ends_at: row.ends_at.map(Timestamp::from_datetime),
                status: row.status,
            };
            Ok((booking, business))
        })
        .collect()
}

pub(super) async fn find_business(
    pool: &PgPool,
    app: &AppId,
    id: &UserId,
) -> Result<Option<Business>, PgError> {
    let row = sqlx::query!(
        "SELECT /* businesses.find */ owner_id, name
         FROM businesses
         WHERE app_id = $1 AND business_id = $2",
        app.as_str(),
        id.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        Ok(Business {
            id: id.clone(),
            owner: UserId::new(&row.owner_id).map_err(inconsistent("businesses"))?,
            name: row.name,
        })
    })
    .transpose()
}

pub(super) async fn find_name(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
) -> Result<Option<String>, PgError> {
    let name = sqlx::query_scalar!(
        "SELECT /* users.find_name */ name FROM users WHERE app_id = $1 AND user_id = $2",
        app.as_str(),
        user.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(name.flatten())
}
