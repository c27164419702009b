//! Revoked tokens in Postgres. That numbers follow the order of commits, their function sees to.

use chat_domain::{AppId, IssuedName, Revocation, Revoked, Timestamp, UserId};
use sqlx::PgPool;

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
};
use crate::{ports::Answer, ports_revocations::RevocationLog};

const TABLE: &str = "revocations";

impl RevocationLog for Pg {
    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, ()> {
        answer(revoke(&self.pool, revocation))
    }

    fn list_revocations(&self, after: u64, limit: u32) -> Answer<'_, Vec<(u64, Revocation)>> {
        answer(list(&self.pool, after, limit))
    }

    fn prune_revocations(&self) -> Answer<'_, u64> {
        answer(prune(&self.pool))
    }
}

async fn revoke(pool: &PgPool, revocation: &Revocation) -> Result<(), PgError> {
    let (kind, name, issued_until) = match &revocation.revoked {
        Revoked::User { user, issued_until } => ("user", user.as_str(), Some(*issued_until)),
        Revoked::Session(name) => ("session", name.as_str(), None),
        Revoked::Token(name) => ("token", name.as_str(), None),
    };
    sqlx::query!(
        r#"SELECT /* revocations.add */ revoke_tokens($1, $2, $3, $4, $5)::text"#,
        revocation.app.as_str(),
        kind,
        name,
        issued_until.map(Timestamp::to_datetime),
        revocation.expires_at.map(Timestamp::to_datetime),
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

async fn list(pool: &PgPool, after: u64, limit: u32) -> Result<Vec<(u64, Revocation)>, PgError> {
    let rows = sqlx::query!(
        "SELECT /* revocations.list */ number, app_id, kind, name, issued_until, expires_at
         FROM revocations
         WHERE number > $1
         ORDER BY number
         LIMIT $2",
        i64::try_from(after).unwrap_or(i64::MAX),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let issued_until = row.issued_until.map(Timestamp::from_datetime);
            let revoked = match (&*row.kind, issued_until) {
                ("user", Some(issued_until)) => Revoked::User {
                    user: UserId::new(&row.name).map_err(inconsistent(TABLE))?,
                    issued_until,
                },
                ("session", None) => Revoked::Session(issued_name(&row.name)?),
                ("token", None) => Revoked::Token(issued_name(&row.name)?),
                _ => return Err(inconsistent(TABLE)("a kind that nobody knows")),
            };
            let revocation = Revocation {
                app: AppId::new(&row.app_id).map_err(inconsistent(TABLE))?,
                revoked,
                expires_at: row.expires_at.map(Timestamp::from_datetime),
            };
            let number = u64::try_from(row.number).map_err(inconsistent(TABLE))?;
            Ok((number, revocation))
        })
        .collect()
}

fn issued_name(text: &str) -> Result<IssuedName, PgError> {
    IssuedName::new(text).map_err(inconsistent(TABLE))
}

async fn prune(pool: &PgPool) -> Result<u64, PgError> {
    let pruned =
        sqlx::query!("DELETE /* revocations.prune */ FROM revocations WHERE expires_at <= now()")
            .execute(pool)
            .await?;
    Ok(pruned.rows_affected())
}
