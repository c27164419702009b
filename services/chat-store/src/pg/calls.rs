//! The history of calls.

use std::time::Duration;

use chat_domain::{
    AppId, ChatError, ConversationId, Timestamp, UserId,
    call::{Call, CallId, CallKind, Change, DeviceId, Leg, Outcome, Phase, Side, Transition},
};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
};
use crate::{
    ports::Answer,
    ports_calls::{CallHistory, Logged},
};

async fn record(pool: &PgPool, batch: &[Logged]) -> Result<Vec<CallId>, PgError> {
    let newest: Vec<&Logged> = newest(batch);
    let calls = || newest.iter().map(|logged| &logged.transition.call);
    let column = |value: fn(&Call) -> String| -> Vec<String> { calls().map(value).collect() };
    let moment = |value: fn(&Call) -> Option<Timestamp>| -> Vec<Option<OffsetDateTime>> {
        let moments = calls().map(value);
        moments.map(|at| at.map(Timestamp::to_datetime)).collect()
    };
    let maybe = |value: fn(&Call) -> Option<String>| -> Vec<Option<String>> {
        calls().map(value).collect()
    };
    let apps: Vec<&str> = newest.iter().map(|logged| logged.app.as_str()).collect();
    let ids: Vec<Uuid> = calls().map(|call| call.id.0).collect();
    let conversations: Vec<Uuid> = calls().map(|call| call.conversation.0).collect();
    let versions: Vec<i64> = calls().map(|call| i64::from(call.version)).collect();
    let ended_by: Vec<Option<String>> = newest
        .iter()
        .map(|logged| ended_by(logged.transition.change))
        .collect();
    let graces: Vec<i64> = calls()
        .map(|call| i64::try_from(call.grace.as_millis()).unwrap_or(i64::MAX))
        .collect();
    let held = sqlx::query_scalar!(
        r#"WITH /* calls.record */ input AS (
               SELECT *
               FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                           $7::text[], $8::text[], $9::bigint[], $10::timestamptz[],
                           $11::timestamptz[], $12::bigint[], $13::timestamptz[],
                           $14::timestamptz[], $15::text[], $16::text[], $17::text[])
                    AS i (call_id, app_id, conversation_id, kind, caller_id, callee_id,
                          caller_device, callee_device, version, started_at, rings_until, grace_ms,
                          answered_at, ended_at, outcome, reason, ended_by)
           ),
           written AS (
               INSERT INTO calls AS c (
                   call_id, app_id, conversation_id, kind, caller_id, callee_id, caller_device,
                   callee_device, version, started_at, rings_until, grace_ms, answered_at, ended_at,
                   outcome, reason, ended_by)
               SELECT call_id, app_id, conversation_id, kind, caller_id, callee_id, caller_device,
                      callee_device, version, started_at, rings_until, grace_ms, answered_at,
                      ended_at, outcome, reason, ended_by
               FROM input
               ORDER BY call_id
               ON CONFLICT ON CONSTRAINT calls_pkey DO UPDATE
               SET caller_device = EXCLUDED.caller_device,
                   callee_device = EXCLUDED.callee_device,
                   version = EXCLUDED.version,
                   answered_at = EXCLUDED.answered_at,
                   ended_at = EXCLUDED.ended_at,
                   outcome = EXCLUDED.outcome,
                   reason = EXCLUDED.reason,
                   ended_by = EXCLUDED.ended_by
               -- Or written before, by who did not live to say so, or just now: a look beside this
               -- could not see that.
               WHERE (c.outcome IS NULL AND c.version < EXCLUDED.version)
                  OR (c.version = EXCLUDED.version AND c.outcome IS NOT DISTINCT FROM EXCLUDED.outcome)
               RETURNING c.call_id
           )
           SELECT written.call_id AS "call_id!"
           FROM written"#,
        &ids,
        &apps as &[&str],
        &conversations,
        &column(|call| call.kind.as_str().to_owned()),
        &column(|call| call.caller.user.to_string()),
        &column(|call| call.callee.user.to_string()),
        &column(|call| call
            .caller
            .device
            .map_or_else(String::new, |device| device.to_string())),
        &maybe(|call| Some(call.callee.device?.to_string())) as &[Option<String>],
        &versions,
        &moment(|call| Some(call.started_at)) as &[Option<OffsetDateTime>],
        &moment(|call| Some(call.rings_until)) as &[Option<OffsetDateTime>],
        &graces,
        &moment(|call| call.answered_at) as &[Option<OffsetDateTime>],
        &moment(|call| call.ended_at) as &[Option<OffsetDateTime>],
        &maybe(outcome) as &[Option<String>],
        &maybe(|call| Some(call.reason.as_deref()?.to_owned())) as &[Option<String>],
        &ended_by as &[Option<String>],
    )
    .fetch_all(pool)
    .await?;
    Ok(held.into_iter().map(CallId).collect())
}

fn outcome(call: &Call) -> Option<String> {
    match call.phase {
        Phase::Ringing | Phase::Connected => None,
        Phase::Over(outcome) => Some(outcome.as_str().to_owned()),
    }
}

/// Who ended a call, as far as others are told so.
fn ended_by(change: Change) -> Option<String> {
    match change {
        Change::Rejected(device) => Some(device.to_string()),
        Change::Ended(side) => Some(side.as_str().to_owned()),
        Change::Ringing
        | Change::Busy
        | Change::Moved(_)
        | Change::Accepted
        | Change::Merged
        | Change::Cancelled
        | Change::NoAnswer => None,
    }
}

/// The last change of each call.
fn newest(batch: &[Logged]) -> Vec<&Logged> {
    let is_last = |logged: &&Logged| {
        let call = &logged.transition.call;
        let later = |other: &Logged| {
            other.transition.call.id == call.id && call.version < other.transition.call.version
        };
        !batch.iter().any(later)
    };
    let mut newest: Vec<_> = batch.iter().filter(is_last).collect();
    // The same change may be in the batch twice.
    newest.sort_by_key(|logged| logged.transition.call.id);
    newest.dedup_by_key(|logged| logged.transition.call.id);
    newest
}

async fn list_unfinished(
    pool: &PgPool,
    before: Option<CallId>,
    limit: u32,
) -> Result<Vec<Logged>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT /* calls.list_unfinished */
                  call_id, app_id, conversation_id, kind, caller_id, callee_id, caller_device,
                  callee_device, version, started_at, rings_until, grace_ms, answered_at, ended_at,
                  outcome, reason, ended_by
           FROM calls
           WHERE followed_at IS NULL AND call_id < $1
             AND (outcome IS NULL OR now() - interval '1 hour' < ended_at)
           ORDER BY call_id DESC
           LIMIT $2"#,
        before.map_or(Uuid::max(), |id| id.0),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Logged::try_from).collect()
}

async fn mark_followed(pool: &PgPool, calls: &[CallId]) -> Result<Vec<CallId>, PgError> {
    let ids: Vec<Uuid> = calls.iter().map(|id| id.0).collect();
    let marked = sqlx::query_scalar!(
        "UPDATE /* calls.mark_followed */ calls
         SET followed_at = now()
         WHERE call_id = ANY ($1) AND outcome IS NOT NULL AND followed_at IS NULL
         RETURNING call_id",
        &ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(marked.into_iter().map(CallId).collect())
}

async fn list(
    pool: &PgPool,
    app: &AppId,
    user: &UserId,
    before: Option<CallId>,
    limit: u32,
) -> Result<Vec<Call>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT /* calls.list */
                  c.call_id AS "call_id!", c.app_id AS "app_id!",
                  c.conversation_id AS "conversation_id!", c.kind AS "kind!",
                  c.caller_id AS "caller_id!", c.callee_id AS "callee_id!",
                  c.caller_device AS "caller_device!", c.callee_device, c.version AS "version!",
                  c.started_at AS "started_at!", c.rings_until AS "rings_until!",
                  c.grace_ms AS "grace_ms!", c.answered_at, c.ended_at, c.outcome, c.reason,
                  c.ended_by
           FROM (
               (SELECT * FROM calls
                WHERE app_id = $1 AND caller_id = $2 AND call_id < $3
                ORDER BY call_id DESC
                LIMIT $4)
               UNION ALL
               (SELECT * FROM calls
                WHERE app_id = $1 AND callee_id = $2 AND call_id < $3
                ORDER BY call_id DESC
                LIMIT $4)
           ) c
           ORDER BY c.call_id DESC
           LIMIT $4"#,
        app.as_str(),
        user.as_str(),
        before.map_or(Uuid::max(), |id| id.0),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Call::try_from).collect()
}

async fn find(pool: &PgPool, app: &AppId, id: CallId) -> Result<Option<Call>, PgError> {
    sqlx::query_as!(
        Row,
        "SELECT /* calls.find */
                call_id, app_id, conversation_id, kind, caller_id, callee_id, caller_device,
                callee_device, version, started_at, rings_until, grace_ms, answered_at, ended_at,
                outcome, reason, ended_by
         FROM calls
         WHERE call_id = $1 AND app_id = $2",
        id.0,
        app.as_str(),
    )
    .fetch_optional(pool)
    .await?
    .map(Call::try_from)
    .transpose()
}

async fn claim_missed(
    pool: &PgPool,
    app: &AppId,
    callee: &UserId,
    limit: u32,
) -> Result<Vec<Call>, PgError> {
    let rows = sqlx::query_as!(
        Row,
        "UPDATE /* calls.claim_missed */ calls
         SET told_at = now()
         WHERE call_id IN (
             SELECT call_id FROM calls
             WHERE app_id = $1 AND callee_id = $2
               AND told_at IS NULL AND outcome IN ('no_answer', 'cancelled')
             ORDER BY call_id DESC
             LIMIT $3
             FOR UPDATE SKIP LOCKED)
         RETURNING call_id, app_id, conversation_id, kind, caller_id, callee_id, caller_device,
                   callee_device, version, started_at, rings_until, grace_ms, answered_at, ended_at,
                   outcome, reason, ended_by",
        app.as_str(),
        callee.as_str(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    let calls = rows.into_iter().map(Call::try_from);
    let mut calls = calls.collect::<Result<Vec<_>, _>>()?;
    calls.sort_by_key(|call| call.id);
    Ok(calls)
}

async fn mark_told(
    pool: &PgPool,
    app: &AppId,
    callee: &UserId,
    calls: &[CallId],
) -> Result<(), PgError> {
    let ids: Vec<Uuid> = calls.iter().map(|id| id.0).collect();
    sqlx::query!(
        "UPDATE /* calls.mark_told */ calls
         SET told_at = now()
         WHERE call_id = ANY ($1) AND app_id = $2 AND callee_id = $3 AND told_at IS NULL",
        &ids,
        app.as_str(),
        callee.as_str(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

impl CallHistory for Pg {
    fn record<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, Vec<CallId>> {
        answer(record(&self.pool, batch))
    }

    fn list_unfinished(&self, before: Option<CallId>, limit: u32) -> Answer<'_, Vec<Logged>> {
        answer(list_unfinished(&self.pool, before, limit))
    }

    fn mark_followed<'a>(&'a self, calls: &'a [CallId]) -> Answer<'a, Vec<CallId>> {
        answer(mark_followed(&self.pool, calls))
    }

    fn list_calls<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        before: Option<CallId>,
        limit: u32,
    ) -> Answer<'a, Vec<Call>> {
        answer(list(&self.pool, app, user, before, limit))
    }

    fn find_call<'a>(&'a self, app: &'a AppId, id: CallId) -> Answer<'a, Option<Call>> {
        answer(find(&self.pool, app, id))
    }

    fn claim_missed<'a>(
        &'a self,
        app: &'a AppId,
        callee: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Vec<Call>> {
        answer(claim_missed(&self.pool, app, callee, limit))
    }

    fn mark_told<'a>(
        &'a self,
        app: &'a AppId,
        callee: &'a UserId,
        calls: &'a [CallId],
    ) -> Answer<'a, ()> {
        answer(mark_told(&self.pool, app, callee, calls))
    }
}

/// A row of `calls`.
struct Row {
    call_id: Uuid,
    app_id: String,
    conversation_id: Uuid,
    kind: String,
    caller_id: String,
    callee_id: String,
    caller_device: String,
    callee_device: Option<String>,
    version: i64,
    started_at: OffsetDateTime,
    rings_until: OffsetDateTime,
    grace_ms: i64,
    answered_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
    outcome: Option<String>,
    reason: Option<String>,
    ended_by: Option<String>,
}

impl TryFrom<Row> for Logged {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let broken = inconsistent("calls");
        let app = AppId::new(&row.app_id).map_err(&broken)?;
        let by = row.ended_by.clone().unwrap_or_default();
        let call = Call::try_from(row)?;
        let change = match call.phase {
            Phase::Ringing => Change::Ringing,
            Phase::Connected => Change::Accepted,
            Phase::Over(Outcome::Busy) => Change::Busy,
            Phase::Over(Outcome::Rejected) => {
                Change::Rejected(DeviceId::parse(&by).map_err(&broken)?)
            }
            Phase::Over(Outcome::Cancelled) => Change::Cancelled,
            Phase::Over(Outcome::NoAnswer) => Change::NoAnswer,
            Phase::Over(Outcome::Ended) if by == Side::Callee.as_str() => {
                Change::Ended(Side::Callee)
            }
            Phase::Over(Outcome::Ended) => Change::Ended(Side::Caller),
        };
        let at = call.ended_at.or(call.answered_at);
        Ok(Self {
            app,
            transition: Transition {
                at: at.unwrap_or(call.started_at),
                change,
                call,
            },
        })
    }
}

impl TryFrom<Row> for Call {
    type Error = PgError;

    fn try_from(row: Row) -> Result<Self, PgError> {
        let broken = inconsistent("calls");
        let leg = |user: &str, device: Option<&str>| {
            Ok::<_, ChatError>(Leg {
                user: UserId::new(user)?,
                device: device.map(DeviceId::parse).transpose()?,
                gone_since: None,
                heard_until: None,
                n_signals: 0,
            })
        };
        let phase = match (row.outcome.as_deref(), row.answered_at) {
            (Some(outcome), _) => Phase::Over(Outcome::parse(outcome).map_err(&broken)?),
            (None, Some(_)) => Phase::Connected,
            (None, None) => Phase::Ringing,
        };
        Ok(Self {
            id: CallId(row.call_id),
            conversation: ConversationId(row.conversation_id),
            kind: CallKind::parse(&row.kind).map_err(&broken)?,
            caller: leg(&row.caller_id, Some(&row.caller_device)).map_err(&broken)?,
            callee: leg(&row.callee_id, row.callee_device.as_deref()).map_err(&broken)?,
            phase,
            version: u32::try_from(row.version).map_err(inconsistent("calls"))?,
            started_at: Timestamp::from_datetime(row.started_at),
            rings_until: Timestamp::from_datetime(row.rings_until),
            grace: Duration::from_millis(
                u64::try_from(row.grace_ms).map_err(inconsistent("calls"))?,
            ),
            answered_at: row.answered_at.map(Timestamp::from_datetime),
            ended_at: row.ended_at.map(Timestamp::from_datetime),
            awaits_answer: false,
            reason: row.reason.map(Into::into),
        })
    }
}
