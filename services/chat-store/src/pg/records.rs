//! Holds and erasures, by the functions that their migration explains.

use chat_domain::{AppId, AttachmentId, ConversationId, Message, Seq, Timestamp, UserId};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
    messages,
};
use crate::{
    ports::{Answer, Slice},
    ports_audit::Link,
    ports_records::{Erasure, Held, Hold, Records, Step},
};

impl Records for Pg {
    fn place_hold<'a>(
        &'a self,
        app: &'a AppId,
        held: &'a Held,
        reason: &'a str,
        by: &'a str,
    ) -> Answer<'a, ()> {
        answer(place_hold(&self.pool, app, held, (reason, by)))
    }

    fn release_hold<'a>(&'a self, app: &'a AppId, held: &'a Held) -> Answer<'a, bool> {
        answer(release_hold(&self.pool, app, held))
    }

    fn list_holds<'a>(&'a self, app: &'a AppId, limit: u32) -> Answer<'a, Vec<Hold>> {
        answer(list_holds(&self.pool, app, limit))
    }

    fn begin_erasure<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
    ) -> Answer<'a, Option<Erasure>> {
        answer(begin_erasure(&self.pool, app, user))
    }

    fn note_revoked<'a>(&'a self, pseudonym: &'a str) -> Answer<'a, ()> {
        answer(note_revoked(&self.pool, pseudonym))
    }

    fn list_files_of<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Option<Vec<AttachmentId>>> {
        answer(list_files_of(&self.pool, app, user, limit))
    }

    fn erase_files<'a>(&'a self, pseudonym: &'a str, ids: &'a [AttachmentId]) -> Answer<'a, ()> {
        answer(erase_files(&self.pool, pseudonym, ids))
    }

    fn erase_step<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        pseudonym: &'a str,
        limit: u32,
    ) -> Answer<'a, Step> {
        answer(erase_step(&self.pool, app, user, (pseudonym, limit)))
    }

    fn find_erasure<'a>(&'a self, pseudonym: &'a str) -> Answer<'a, Option<Erasure>> {
        answer(find_erasure(&self.pool, pseudonym))
    }

    fn finish_erasure<'a>(&'a self, pseudonym: &'a str, said_at: Link) -> Answer<'a, ()> {
        answer(finish_erasure(&self.pool, pseudonym, said_at))
    }

    fn list_kept(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: u32,
    ) -> Answer<'_, Vec<Message>> {
        let slice = Slice::After(after);
        answer(messages::list(
            &self.pool,
            conversation,
            slice,
            (limit, None),
        ))
    }
}

/// How a hold is stored.
fn stored(held: &Held) -> (&'static str, String) {
    match held {
        Held::User(id) => ("user", id.as_str().to_owned()),
        Held::Conversation(id) => ("conversation", id.to_string()),
    }
}

async fn place_hold(
    pool: &PgPool,
    app: &AppId,
    held: &Held,
    (reason, by): (&str, &str),
) -> Result<(), PgError> {
    let (kind, target) = stored(held);
    sqlx::query!(
        "INSERT /* holds.place */ INTO legal_holds (app_id, kind, target, reason, placed_by)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT legal_holds_pkey
         DO UPDATE SET reason = EXCLUDED.reason, placed_by = EXCLUDED.placed_by",
        app.as_str(),
        kind,
        target,
        reason,
        by,
    )
    .execute(pool)
    .await?;
    Ok(())
}

async fn release_hold(pool: &PgPool, app: &AppId, held: &Held) -> Result<bool, PgError> {
    let (kind, target) = stored(held);
    let released = sqlx::query!(
        "DELETE /* holds.release */ FROM legal_holds
         WHERE app_id = $1 AND kind = $2 AND target = $3",
        app.as_str(),
        kind,
        target,
    )
    .execute(pool)
    .await?;
    Ok(0 < released.rows_affected())
}

async fn list_holds(pool: &PgPool, app: &AppId, limit: u32) -> Result<Vec<Hold>, PgError> {
    let rows = sqlx::query!(
        "SELECT /* holds.list */ kind, target, reason, placed_by, placed_at
         FROM legal_holds
         WHERE app_id = $1
         ORDER BY placed_at, kind, target
         LIMIT $2",
        app.as_str(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let held = match row.kind.as_str() {
                "user" => UserId::new(&row.target).map(Held::User),
                _ => ConversationId::parse(&row.target).map(Held::Conversation),
            };
            Ok(Hold {
                held: held.map_err(inconsistent("legal_holds"))?,
                reason: row.reason,
                placed_by: row.placed_by,
                placed_at: Timestamp::from_datetime(row.placed_at),
            })
        })
        .collect()
}

async fn begin_erasure(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
) -> Result<Option<Erasure>, PgError> {
    let begun = sqlx::query_scalar!(
        "SELECT /* erasures.begin */ begin_erasure($1, $2, $3)",
        app.as_str(),
        user.as_str(),
        Uuid::new_v4().to_string(),
    )
    .fetch_one(pool)
    .await?;
    match begun {
        Some(pseudonym) => find_erasure(pool, &pseudonym).await,
        None => Ok(None),
    }
}

async fn note_revoked(pool: &PgPool, pseudonym: &str) -> Result<(), PgError> {
    sqlx::query!(
        "UPDATE /* erasures.note_revoked */ erasures
         SET revoked_at = date_trunc('milliseconds', clock_timestamp())
         WHERE pseudonym = $1 AND revoked_at IS NULL",
        pseudonym,
    )
    .execute(pool)
    .await?;
    Ok(())
}

async fn list_files_of(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    limit: u32,
) -> Result<Option<Vec<AttachmentId>>, PgError> {
    let rows = sqlx::query!(
        r#"SELECT /* attachments.list_of */ a.attachment_id,
                  is_held(a.app_id, a.conversation_id, c.first_id, c.second_id) AS "is_held!"
           FROM attachments a
           JOIN conversations c USING (conversation_id)
           WHERE a.app_id = $1 AND a.uploader_id = $2
           LIMIT $3"#,
        app.as_str(),
        user.as_str(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    let files = rows
        .iter()
        .map(|row| (!row.is_held).then_some(AttachmentId(row.attachment_id)));
    Ok(files.collect())
}

async fn erase_files(pool: &PgPool, pseudonym: &str, ids: &[AttachmentId]) -> Result<(), PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        r#"SELECT /* erasures.erase_files */ erase_files($1, $2)::text"#,
        pseudonym,
        &ids,
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

async fn erase_step(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    (pseudonym, limit): (&str, u32),
) -> Result<Step, PgError> {
    let step = sqlx::query!(
        r#"SELECT /* erasures.step */ held AS "held!", done AS "done!"
           FROM erase_step($1, $2, $3, $4)"#,
        app.as_str(),
        user.as_str(),
        pseudonym,
        i64::from(limit),
    )
    .fetch_one(pool)
    .await?;
    Ok(match (step.held, step.done) {
        (true, _) => Step::Held,
        (false, true) => Step::Done,
        (false, false) => Step::More,
    })
}

async fn find_erasure(pool: &PgPool, pseudonym: &str) -> Result<Option<Erasure>, PgError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT /* erasures.find */
                pseudonym, messages, conversations, files, started_at, revoked_at, finished_at,
                audit_place, audit_hash
         FROM erasures
         WHERE pseudonym = $1",
        pseudonym,
    )
    .fetch_optional(pool)
    .await?;
    row.map(Erasure::try_from).transpose()
}

async fn finish_erasure(pool: &PgPool, pseudonym: &str, said_at: Link) -> Result<(), PgError> {
    sqlx::query!(
        "UPDATE /* erasures.finish */ erasures
         SET finished_at = date_trunc('milliseconds', clock_timestamp()),
             audit_place = $2, audit_hash = $3
         WHERE pseudonym = $1 AND finished_at IS NULL",
        pseudonym,
        i64::try_from(said_at.place).map_err(inconsistent("audit_log"))?,
        &said_at.hash[..],
    )
    .execute(pool)
    .await?;
    Ok(())
}

struct Row {
    pseudonym: String,
    messages: i64,
    conversations: i64,
    files: i64,
    started_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    audit_place: Option<i64>,
    audit_hash: Option<Vec<u8>>,
}

impl TryFrom<Row> for Erasure {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let count = |number: i64| u64::try_from(number).map_err(inconsistent("erasures"));
        let said = row.finished_at.zip(row.audit_place.zip(row.audit_hash));
        let finished = said.map(|(at, (place, hash))| {
            let hash = hash.try_into();
            let hash = hash.map_err(|_| inconsistent("erasures")("a hash of another length"))?;
            let place = count(place)?;
            Ok::<_, PgError>((Timestamp::from_datetime(at), Link { place, hash }))
        });
        Ok(Self {
            messages: count(row.messages)?,
            conversations: count(row.conversations)?,
            files: count(row.files)?,
            revoked_at: row.revoked_at.map(Timestamp::from_datetime),
            started_at: Timestamp::from_datetime(row.started_at),
            finished: finished.transpose()?,
            pseudonym: row.pseudonym,
        })
    }
}
