//! What reading costs however much there is: the same user with the same thousand messages, alone and
//! among so many of others.
//!
//! `DATABASE_URL=… cargo run -p chat-store --example read_yardstick -- 10000000` on a server where that
//! user may create databases. It prints medians in microseconds and the plans, and removes what it made.
//! It measures no service: no HTTP, no NATS.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chat_domain::{AppId, ConversationId, Seq, UserId};
use chat_store::{
    pg::Pg,
    ports::{Depth, Overviews as _, Slice, Store as _, Wanted},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

const ROUNDS: usize = 200;
const WANTED: Wanted<'_> = Wanted {
    business: None,
    limit: 50,
    since: None,
};
const DEPTH: Depth = Depth {
    conversations: 100,
    messages: 2_000,
    scanned: 20_000,
    found: 50,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::var("DATABASE_URL").context("DATABASE_URL names no server")?;
    let many = env::args().nth(1).map_or(Ok(10_000_000), |it| it.parse())?;
    let (few, _) = Library::fill(&url, 1_000).await?;
    let (much, mut sql) = Library::fill(&url, many).await?;
    plans(&mut sql).await?;
    sql.close().await?;

    println!("{:<24}{:>12}{many:>12}{:>8}", "median, µs", 1_000, "ratio");
    for question in Question::ALL {
        // In turn, so that whatever else goes on here meets both.
        let (mut of_few, mut of_much) = (Vec::new(), Vec::new());
        for _ in 0..question.n_rounds() {
            of_few.push(few.ask(question).await?);
            of_much.push(much.ask(question).await?);
        }
        let (few, much) = (median(of_few), median(of_much));
        let ratio = much.as_secs_f64() / few.as_secs_f64();
        let (few, much) = (few.as_micros(), much.as_micros());
        println!("{:<24}{few:>12}{much:>12}{ratio:>8.2}", question.name());
    }
    few.remove(&url).await?;
    much.remove(&url).await
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A database with so many messages, and a conversation in it.
struct Library {
    name: String,
    pg: Pg,
    id: ConversationId,
}

/// What somebody asks of it.
#[derive(Debug, Clone, Copy)]
enum Question {
    List,
    Newest,
    After,
    Unread,
    Search,
}

impl Question {
    const ALL: [Self; 5] = [
        Self::List,
        Self::Newest,
        Self::After,
        Self::Unread,
        Self::Search,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::List => "conversation list",
            Self::Newest => "history page, newest",
            Self::After => "history page, after",
            Self::Unread => "unread count",
            Self::Search => "search",
        }
    }

    const fn n_rounds(self) -> usize {
        match self {
            Self::Search => ROUNDS / 10,
            Self::List | Self::Newest | Self::After | Self::Unread => ROUNDS,
        }
    }
}

impl Library {
    async fn fill(url: &str, n_messages: i64) -> anyhow::Result<(Self, PgConnection)> {
        let name = format!("read_yardstick_{n_messages}");
        let (server, _) = url
            .rsplit_once('/')
            .context("DATABASE_URL has no database")?;
        let own = format!("{server}/{name}");
        let mut admin = PgConnection::connect(url).await?;
        run(&mut admin, format!("DROP DATABASE IF EXISTS {name}")).await?;
        run(&mut admin, format!("CREATE DATABASE {name}")).await?;
        let pg = Pg::connect(&own, 2).await?;
        pg.migrate().await?;
        pg.create_partitions().await?;
        let mut sql = PgConnection::connect(&own).await?;
        let started = Instant::now();
        fill(&mut sql, n_messages).await?;
        println!("{n_messages} messages filled in {:?}", started.elapsed());

        let (app, user) = (AppId::new("app")?, UserId::new("d0")?);
        let own = pg.list_overviews(&app, &user, WANTED).await?;
        anyhow::ensure!(own.len() == 10 && own.iter().all(|one| one.last.is_some()));
        let id = own.first().context("no conversation")?.conversation.id;
        Ok((Self { name, pg, id }, sql))
    }

    async fn ask(&self, question: Question) -> anyhow::Result<Duration> {
        let Self { pg, id, .. } = self;
        let (app, user) = (AppId::new("app")?, UserId::new("d0")?);
        let page = |slice| pg.list_messages(*id, slice, 50, None);
        let started = Instant::now();
        let (found, expected) = match question {
            Question::List => (pg.list_overviews(&app, &user, WANTED).await?.len(), 10),
            Question::Newest => (page(Slice::Before(Seq(101))).await?.len(), 50),
            Question::After => (page(Slice::After(Seq(20))).await?.len(), 50),
            Question::Unread => {
                let unread = pg.count_unread(&app, &user, None).await?;
                (usize::try_from(unread)?, 30)
            }
            Question::Search => {
                let found = pg.search_messages(&app, &user, "sugar 99", DEPTH, None);
                (found.await?.len(), 10)
            }
        };
        let taken = started.elapsed();
        anyhow::ensure!(found == expected, "{question:?} found {found}");
        Ok(taken)
    }

    async fn remove(self, url: &str) -> anyhow::Result<()> {
        self.pg.close().await;
        let mut admin = PgConnection::connect(url).await?;
        run(&mut admin, format!("DROP DATABASE {}", self.name)).await
    }
}

async fn run(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// Conversations of a hundred messages, over a year; each user `d…` has ten of them.
async fn fill(sql: &mut PgConnection, n_messages: i64) -> anyhow::Result<()> {
    let (conversations, doctors) = (n_messages / 100, n_messages / 1_000);
    let id = "('00000000-0000-7000-8000-' || lpad(to_hex(c), 12, '0'))::uuid";
    let at = "date_trunc('milliseconds', now()) - (100 - s) * interval '87 hours'
                  - (c % 1000) * interval '1 second'";
    for statement in [
        // In one transaction it is now all the time.
        "BEGIN".to_owned(),
        "SELECT create_message_partitions((now() - interval '54 weeks')::date, 54)".to_owned(),
        format!(
            "INSERT INTO conversations (conversation_id, app_id, booking_id, first_id, first_role,
                 second_id, second_role, last_seq, last_at)
             SELECT {id}, 'app', '', 'd' || c % {doctors}, 'doctor', 'p' || c, 'patient', 100,
                    {at}
             FROM generate_series(1, {conversations}) c, generate_series(100, 100) s"
        ),
        "INSERT INTO participants (conversation_id, user_id, app_id, unread)
         SELECT conversation_id, first_id, app_id, 3 FROM conversations
         UNION ALL
         SELECT conversation_id, second_id, app_id, 0 FROM conversations"
            .to_owned(),
        format!(
            "INSERT INTO messages (conversation_id, created_at, message_id, seq, sender_id,
                 sender_role, kind, content, delivered_at, read_at)
             SELECT {id}, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
                        || '70008000' || lpad(to_hex(c), 12, '0'))::uuid,
                    s, 'p' || c, 'patient', 'text',
                    'message ' || s || ' about the sugar of ' || md5(c::text || s),
                    at, CASE WHEN s <= 97 THEN at END
             FROM generate_series(1, {conversations}) c, generate_series(1, 100) s,
                  LATERAL (SELECT {at} AS at) AS t"
        ),
        format!(
            "INSERT INTO message_marks (conversation_id, seq, created_at)
             SELECT {id}, s, {at}
             FROM generate_series(1, {conversations}) c, generate_series(1, 1) s"
        ),
        "COMMIT".to_owned(),
        "VACUUM ANALYZE".to_owned(),
    ] {
        run(sql, statement).await?;
    }
    Ok(())
}

/// Prints the plans that the statements get in the long run.
async fn plans(sql: &mut PgConnection) -> anyhow::Result<()> {
    run(sql, "SET plan_cache_mode = force_generic_plan".to_owned()).await?;
    let page = "'00000000-0000-7000-8000-000000000001', 101, 50, NULL";
    for (name, types, values) in [
        (
            "conversations.list_overviews",
            "text, text, bigint, text, timestamptz",
            "'app', 'd0', 50, NULL, NULL",
        ),
        (
            "messages.list_before",
            "uuid, bigint, bigint, timestamptz",
            page,
        ),
        (
            "messages.list_after",
            "uuid, bigint, bigint, timestamptz",
            "'00000000-0000-7000-8000-000000000001', 20, 50, NULL",
        ),
        (
            "participants.count_unread",
            "text, text, timestamptz",
            "'app', 'd0', NULL",
        ),
        (
            "messages.search",
            "text, text, text, bigint, bigint, bigint, timestamptz, bigint",
            "'app', 'd0', 'sugar 99', 100, 2000, 20000, NULL, 50",
        ),
    ] {
        let query = statement(name)?;
        run(sql, format!("PREPARE it ({types}) AS {query}")).await?;
        println!("\n{name}");
        let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF) EXECUTE it ({values})");
        let rows = sql.fetch_all(AssertSqlSafe(explain)).await?;
        // Partitions that were not opened say so one by one.
        for line in rows.iter().map(|row| row.get::<String, _>(0)) {
            if !line.contains("never executed") {
                println!("{line}");
            }
        }
        run(sql, "DEALLOCATE it".to_owned()).await?;
    }
    println!();
    Ok(())
}

/// Returns the store's statement of that name, from the query data that its build is checked against.
fn statement(name: &str) -> anyhow::Result<String> {
    let mark = format!("/* {name} */");
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx"))? {
        let data: serde_json::Value = serde_json::from_slice(&std::fs::read(file?.path())?)?;
        if let Some(query) = data
            .get("query")
            .and_then(serde_json::Value::as_str)
            .filter(|query| query.contains(&mark))
        {
            return Ok(query.to_owned());
        }
    }
    anyhow::bail!("no statement {name}")
}
