//! The log of accesses, by the function that its migration explains.

use chat_domain::{AppId, ConversationId, UserId};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
};
use crate::{
    ports::Answer,
    ports_audit::{Access, AuditLog, Link, Recorded},
};

impl AuditLog for Pg {
    fn record<'a>(&'a self, entries: &'a [Access]) -> Answer<'a, Vec<Link>> {
        answer(record(&self.pool, entries))
    }

    fn list_recorded<'a>(
        &'a self,
        app: &'a AppId,
        after: u64,
        limit: u32,
    ) -> Answer<'a, Vec<Recorded>> {
        answer(list(&self.pool, app, after, limit))
    }

    fn list_chains(&self) -> Answer<'_, Vec<AppId>> {
        answer(list_chains(&self.pool))
    }

    fn list_ends(&self) -> Answer<'_, Vec<(AppId, Link)>> {
        answer(list_ends(&self.pool))
    }

    fn list_accesses<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        before: u64,
        limit: u32,
    ) -> Answer<'a, Vec<Recorded>> {
        answer(list_accesses(&self.pool, app, user, (before, limit)))
    }
}

async fn record(pool: &PgPool, entries: &[Access]) -> Result<Vec<Link>, PgError> {
    fn column<'a, T>(entries: &'a [Access], value: impl Fn(&'a Access) -> T) -> Vec<T> {
        entries.iter().map(value).collect()
    }
    let apps = column(entries, |entry| entry.app.as_str());
    let actors = column(entries, |entry| entry.actor.as_str());
    let actions = column(entries, |entry| entry.action.as_str());
    let outcomes = column(
        entries,
        |entry| {
            if entry.is_refused { "refused" } else { "done" }
        },
    );
    let devices = column(entries, |entry| entry.device.as_deref());
    let subjects = column(entries, |entry| entry.subject.as_ref().map(UserId::as_str));
    let conversations = column(entries, |entry| entry.conversation.map(|id| id.0));
    let first_seqs = column(entries, |entry| {
        entry.seqs.map(|(first, _)| number(first.0))
    });
    let last_seqs = column(entries, |entry| entry.seqs.map(|(_, last)| number(last.0)));
    let details = column(entries, |entry| entry.detail.as_deref());
    let rows = sqlx::query!(
        r#"SELECT /* audit.record */ place AS "place!", hash AS "hash!"
           FROM record_accesses($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ORDER BY ord"#,
        &apps as &[&str],
        &actors as &[&str],
        &actions as &[&str],
        &outcomes as &[&str],
        &devices as &[Option<&str>],
        &subjects as &[Option<&str>],
        &conversations as &[Option<Uuid>],
        &first_seqs as &[Option<i64>],
        &last_seqs as &[Option<i64>],
        &details as &[Option<&str>],
    )
    .fetch_all(pool)
    .await?;
    if rows.len() != entries.len() {
        return Err(inconsistent("audit_log")("an access without a place"));
    }
    rows.into_iter()
        .map(|row| link(row.place, row.hash))
        .collect()
}

async fn list(
    pool: &PgPool,
    app: &AppId,
    after: u64,
    limit: u32,
) -> Result<Vec<Recorded>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT /* audit.list */
                  place, at, actor, action, outcome, device, subject, conversation_id, first_seq,
                  last_seq, detail, hash
           FROM audit_log
           WHERE app_id = $1 AND place > $2
           ORDER BY place
           LIMIT $3"#,
        app.as_str(),
        number(after),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Recorded::try_from).collect()
}

async fn list_chains(pool: &PgPool) -> Result<Vec<AppId>, PgError> {
    let names = sqlx::query_scalar!(
        r#"SELECT /* audit.list_chains */ app_id AS "app_id!" FROM audit_heads
           UNION
           SELECT app_id FROM audit_log
           ORDER BY 1"#
    )
    .fetch_all(pool)
    .await?;
    let apps = names.iter().map(|name| AppId::new(name));
    apps.collect::<Result<_, _>>()
        .map_err(inconsistent("audit_log"))
}

async fn list_ends(pool: &PgPool) -> Result<Vec<(AppId, Link)>, PgError> {
    let rows = sqlx::query!(
        "SELECT /* audit.list_ends */ app_id, place, hash FROM audit_heads ORDER BY app_id"
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let app = AppId::new(&row.app_id).map_err(inconsistent("audit_heads"))?;
            Ok((app, link(row.place, row.hash)?))
        })
        .collect()
}

async fn list_accesses(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    (before, limit): (u64, u32),
) -> Result<Vec<Recorded>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT /* audit.list_accesses */
                  place AS "place!", at AS "at!", actor AS "actor!", action AS "action!",
                  outcome AS "outcome!", device, subject, conversation_id, first_seq, last_seq,
                  detail, hash AS "hash!"
           FROM (
               SELECT a.*
               FROM participants p
               CROSS JOIN LATERAL (
                   SELECT l.*
                   FROM audit_log l
                   WHERE l.conversation_id = p.conversation_id AND l.app_id = $1 AND l.place < $3
                   ORDER BY l.place DESC
                   LIMIT $4) a
               WHERE p.app_id = $1 AND p.user_id = $2
               UNION
               (SELECT l.*
                FROM audit_log l
                WHERE l.app_id = $1 AND l.subject = $2 AND l.place < $3
                ORDER BY l.place DESC
                LIMIT $4)
           ) AS found
           ORDER BY place DESC
           LIMIT $4"#,
        app.as_str(),
        user.as_str(),
        number(before),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Recorded::try_from).collect()
}

struct Row {
    place: i64,
    at: OffsetDateTime,
    actor: String,
    action: String,
    outcome: String,
    device: Option<String>,
    subject: Option<String>,
    conversation_id: Option<Uuid>,
    first_seq: Option<i64>,
    last_seq: Option<i64>,
    detail: Option<String>,
    hash: Vec<u8>,
}

impl TryFrom<Row> for Recorded {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let at_us = row.at.unix_timestamp_nanos() / 1_000;
        Ok(Self {
            place: place(row.place)?,
            at_us: i64::try_from(at_us).map_err(inconsistent("audit_log"))?,
            actor: row.actor,
            action: row.action,
            outcome: row.outcome,
            device: row.device,
            subject: row.subject,
            conversation: row.conversation_id.map(ConversationId),
            first_seq: row.first_seq,
            last_seq: row.last_seq,
            detail: row.detail,
            hash: row.hash,
        })
    }
}

fn link(at: i64, hash: Vec<u8>) -> Result<Link, PgError> {
    let hash = hash.try_into();
    Ok(Link {
        place: place(at)?,
        hash: hash.map_err(|_| inconsistent("audit_log")("a hash of another length"))?,
    })
}

fn place(number: i64) -> Result<u64, PgError> {
    u64::try_from(number).map_err(inconsistent("audit_log"))
}

fn number(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
