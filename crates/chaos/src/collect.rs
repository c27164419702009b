//! What there is at the end: rows, what REST says of them, counters, and what logs must not hold.

mod pages;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use sqlx::{PgConnection, PgPool, Row as _};
use tokio::time::{Instant, sleep};

use crate::{
    history::{Being, CallRow, Event, Expected, Message, Whose, Window},
    patience::until_none,
    people::{Person, Talk},
    workload::{self, Stage},
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who the records are by.
const ME: &str = "suite";

/// A question for a number of rows.
type Counting<'q> = sqlx::query::QueryScalar<'q, sqlx::Postgres, i64, sqlx::postgres::PgArguments>;

/// Everything that a collection looks at.
#[derive(Debug)]
pub struct Scene {
    /// The run.
    pub stage: Arc<Stage>,
    /// Everybody.
    pub people: Vec<Arc<Person>>,
    /// Postgres, past the proxies.
    pub database: PgPool,
}

impl Scene {
    fn talks(&self) -> impl Iterator<Item = (&Arc<Person>, &Arc<Talk>)> {
        self.people
            .iter()
            .flat_map(|person| person.talks.iter().map(move |talk| (person, talk)))
    }

    /// Every conversation once.
    #[must_use]
    pub fn all_talks(&self) -> Vec<Arc<Talk>> {
        let mut talks: Vec<_> = self.talks().map(|(_, talk)| Arc::clone(talk)).collect();
        talks.sort_by(|a, b| a.id.cmp(&b.id));
        talks.dedup_by(|a, b| a.id == b.id);
        talks
    }

    /// Tells whether the caller of a call stays away when their connection is lost.
    fn is_abandoned(&self, row: &sqlx::postgres::PgRow) -> bool {
        let caller: String = row.get(2);
        let mut people = self
            .people
            .iter()
            .filter(|person| person.name.starts_with('x'));
        people.any(|person| person.user.id == caller)
    }

    fn user_ids(&self) -> Vec<String> {
        self.people
            .iter()
            .map(|person| person.user.id.clone())
            .collect()
    }

    /// Returns the last place of each conversation, by id.
    ///
    /// # Errors
    ///
    /// Returns that Postgres is not there.
    pub async fn heads(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let ids: Vec<_> = self
            .all_talks()
            .iter()
            .map(|talk| talk.id.clone())
            .collect();
        let rows = sqlx::query(
            "SELECT conversation_id::text, last_seq FROM conversations \
             WHERE conversation_id::text = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(&self.database)
        .await?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs()))
            .collect())
    }

    /// Returns how many calls go on.
    ///
    /// # Errors
    ///
    /// Returns that Postgres is not there.
    pub async fn calls(&self) -> anyhow::Result<u64> {
        let statement = "SELECT count(*) FROM calls WHERE outcome IS NULL \
                         AND (caller_id = ANY ($1) OR callee_id = ANY ($1))";
        self.count_rows(sqlx::query_scalar(statement).bind(self.user_ids()))
            .await
    }

    /// Returns how much was ever done: messages and calls.
    ///
    /// # Errors
    ///
    /// Returns that Postgres is not there.
    pub async fn done(&self) -> anyhow::Result<u64> {
        let messages: u64 = self.heads().await?.iter().map(|(_, seq)| seq).sum();
        let statement = "SELECT count(*) FROM calls \
                         WHERE caller_id = ANY ($1) OR callee_id = ANY ($1)";
        let calls = sqlx::query_scalar(statement).bind(self.user_ids());
        Ok(messages + self.count_rows(calls).await?)
    }

    /// Returns how many calls are not done with: they go on, or not everybody was told of their end.
    ///
    /// # Errors
    ///
    /// Returns that Postgres is not there.
    pub async fn calls_to_follow(&self) -> anyhow::Result<u64> {
        let statement = "SELECT count(*) FROM calls WHERE followed_at IS NULL \
                         AND (caller_id = ANY ($1) OR callee_id = ANY ($1))";
        self.count_rows(sqlx::query_scalar(statement).bind(self.user_ids()))
            .await
    }

    /// Waits for a while until no call goes on; says whether that came true.
    ///
    /// # Errors
    ///
    /// Returns that Postgres is not there.
    pub async fn calls_over_within(&self, time: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + time;
        while self.calls().await? != 0 {
            if deadline < Instant::now() {
                return Ok(false);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(true)
    }

    /// Writes everything down.
    ///
    /// # Errors
    ///
    /// Returns what could not be read.
    pub async fn collect(&self) -> anyhow::Result<()> {
        // At one moment: what was asked over a connection that was lost may still change both.
        let mut moment = self.database.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .execute(&mut *moment)
            .await?;
        self.messages(&mut moment).await?;
        self.unread(&mut moment).await?;
        moment.commit().await?;
        self.call_rows().await?;
        self.outbox().await?;
        self.rest().await?;
        self.presence().await?;
        Ok(())
    }

    async fn messages(&self, moment: &mut PgConnection) -> anyhow::Result<()> {
        let recorder = &self.stage.recorder;
        for talk in self.all_talks() {
            let rows = sqlx::query(
                "SELECT message_id::text, seq, sender_id, kind, content, client_key, \
                        to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
                        read_at IS NOT NULL \
                 FROM messages WHERE conversation_id::text = $1 ORDER BY created_at",
            )
            .bind(&talk.id)
            .fetch_all(&mut *moment)
            .await?;
            for row in rows {
                let result = Message {
                    id: row.get(0),
                    conversation_id: talk.id.clone(),
                    seq: row.get::<i64, _>(1).unsigned_abs(),
                    sender_id: row.get(2),
                    message_type: row.get(3),
                    content: row.get(4),
                    client_message_id: row.get(5),
                    created_at: row.get(6),
                    is_read: row.get(7),
                };
                let key = talk.id.clone();
                recorder.note(ME, Event::Row { key, result });
            }
        }
        Ok(())
    }

    async fn unread(&self, moment: &mut PgConnection) -> anyhow::Result<()> {
        let ids: Vec<_> = self
            .all_talks()
            .iter()
            .map(|talk| talk.id.clone())
            .collect();
        let rows = sqlx::query(
            "SELECT conversation_id::text, user_id, unread FROM participants \
             WHERE conversation_id::text = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(&mut *moment)
        .await?;
        for row in rows {
            let event = Event::UnreadRow {
                key: row.get(0),
                args: Whose { user: row.get(1) },
                result: row.get::<i64, _>(2).unsigned_abs(),
            };
            self.stage.recorder.note(ME, event);
        }
        Ok(())
    }

    async fn call_rows(&self) -> anyhow::Result<()> {
        let recorder = &self.stage.recorder;
        let rows = sqlx::query(
            "SELECT call_id::text, conversation_id::text, caller_id, callee_id, outcome, \
                    (extract(epoch FROM started_at) * 1e6)::bigint, \
                    (extract(epoch FROM rings_until) * 1e6)::bigint, \
                    (extract(epoch FROM answered_at) * 1e6)::bigint, \
                    (extract(epoch FROM ended_at) * 1e6)::bigint, \
                    (SELECT count(*) FROM message_keys k \
                     WHERE k.conversation_id = c.conversation_id \
                       AND k.key = 'system:call:' || c.call_id) \
             FROM calls c WHERE caller_id = ANY ($1) OR callee_id = ANY ($1)",
        )
        .bind(self.user_ids())
        .fetch_all(&self.database)
        .await?;
        for row in rows {
            let result = CallRow {
                conversation: row.get(1),
                abandoned: self.is_abandoned(&row),
                caller: row.get(2),
                callee: row.get(3),
                outcome: row.get(4),
                started_at: row.get(5),
                rings_until: row.get(6),
                answered_at: row.get(7),
                ended_at: row.get(8),
                messages: row.get::<i64, _>(9).unsigned_abs(),
            };
            let key = row.get(0);
            recorder.note(ME, Event::Call { key, result });
        }
        Ok(())
    }

    async fn outbox(&self) -> anyhow::Result<()> {
        let rows = async || {
            self.count_rows(sqlx::query_scalar("SELECT count(*) FROM outbox"))
                .await
        };
        until_none("the outbox to be emptied", rows).await?;
        self.count("rows in the outbox", 0, 0, rows().await?);
        Ok(())
    }

    async fn count_rows(&self, query: Counting<'_>) -> anyhow::Result<u64> {
        Ok(query.fetch_one(&self.database).await?.unsigned_abs())
    }

    /// Asks everybody about everybody while all are there, again until it is right.
    async fn presence(&self) -> anyhow::Result<()> {
        let ids = self.user_ids().join(",");
        for person in &self.people {
            let mut seen = Vec::new();
            until_none("everybody to be seen", async || {
                seen = self.seen_by(person, &ids).await?;
                let wrong = |(_, being): &&(String, Being)| being.online != being.is_contact;
                Ok(seen.iter().filter(wrong).count() as u64)
            })
            .await?;
            for (key, args) in seen {
                self.stage.recorder.note(ME, Event::Presence { key, args });
            }
        }
        Ok(())
    }

    async fn seen_by(&self, person: &Person, ids: &str) -> anyhow::Result<Vec<(String, Being)>> {
        let me = &person.user.id;
        let path = format!("presence?userIds={ids}");
        let seen = workload::request(&self.stage, person, &path, None).await?;
        let entries = seen.as_array().context("no list of presences")?.iter();
        let beings = entries.map(|entry| {
            let subject = entry["userId"].as_str().unwrap_or_default();
            let mut talks = person.talks.iter();
            let being = Being {
                user: me.clone(),
                online: entry["isOnline"] == true,
                is_final: true,
                is_contact: subject == me || talks.any(|talk| talk.peer(me) == subject),
                connected: Some(true),
            };
            (subject.to_owned(), being)
        });
        Ok(beings.collect())
    }

    async fn rest(&self) -> anyhow::Result<()> {
        for (person, talk) in self.talks() {
            self.pages(person, talk).await?;
            workload::read_unread(&self.stage, person, &talk.id, ME).await?;
        }
        for person in &self.people {
            let calls = workload::request(&self.stage, person, "calls?limit=200", None).await?;
            for call in calls.as_array().context("no list of calls")? {
                let event = Event::CallSeen {
                    key: call["id"].as_str().unwrap_or_default().to_owned(),
                    args: Whose {
                        user: person.user.id.clone(),
                    },
                    result: call["outcome"].as_str().map(str::to_owned),
                };
                self.stage.recorder.note(ME, event);
            }
        }
        Ok(())
    }

    /// Reads a whole history forwards and backwards, in pages of different sizes.
    async fn pages(&self, person: &Person, talk: &Talk) -> anyhow::Result<()> {
        let mut window = Window {
            user: person.user.id.clone(),
            after: Some(0),
            limit: 97,
            ascending: true,
            ..Window::default()
        };
        loop {
            let page = workload::read_page(&self.stage, person, &talk.id, &window, ME).await?;
            let Some(last) = page.last() else { break };
            window.after = Some(last.seq);
        }
        (window.after, window.ascending, window.limit) = (None, false, 200);
        loop {
            let page = workload::read_page(&self.stage, person, &talk.id, &window, ME).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            window.before = Some(last.seq);
        }
    }

    /// Writes down a number that has to be within bounds.
    pub fn count(&self, key: &str, at_least: u64, at_most: u64, result: u64) {
        let args = Expected { at_least, at_most };
        let key = key.to_owned();
        self.stage
            .recorder
            .note(ME, Event::Count { key, args, result });
    }

    async fn get(&self, url: &str) -> anyhow::Result<String> {
        let answer = self.stage.http.get(url).timeout(PATIENCE).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}
