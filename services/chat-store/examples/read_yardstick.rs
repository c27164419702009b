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
use chat_domain::{AppId, Seq, UserId};
use chat_store::{
    pg::Pg,
    ports::{Depth, Overviews as _, Slice, Store as _, Wanted},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

const ROUNDS: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::var("DATABASE_URL").context("DATABASE_URL names no server")?;
    let many = env::args().nth(1).map_or(Ok(10_000_000), |it| it.parse())?;
    let few = measure(&url, 1_000, false).await?;
    let much = measure(&url, many, true).await?;
    println!("{:<24}{:>12}{many:>12}{:>8}", "median, µs", 1_000, "ratio");
    for ((name, few), (_, much)) in few.iter().zip(&much) {
        let ratio = much.as_secs_f64() / few.as_secs_f64();
        let (few, much) = (few.as_micros(), much.as_micros());
        println!("{name:<24}{few:>12}{much:>12}{ratio:>8.2}");
    }
    Ok(())
}

async fn measure(
    url: &str,
    n_messages: i64,
    with_plans: bool,
) -> anyhow::Result<Vec<(&'static str, Duration)>> {
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

    let times = times(&pg).await?;
    if with_plans {
        plans(&mut sql).await?;
    }
    pg.close().await;
    sql.close().await?;
    run(&mut admin, format!("DROP DATABASE {name}")).await?;
    Ok(times)
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

async fn times(pg: &Pg) -> anyhow::Result<Vec<(&'static str, Duration)>> {
    let (app, user) = (AppId::new("app")?, UserId::new("d0")?);
    let wanted = Wanted {
        business: None,
        limit: 50,
        since: None,
    };
    let depth = Depth {
        conversations: 100,
        messages: 2_000,
        scanned: 20_000,
        found: 50,
    };
    let own = pg.list_overviews(&app, &user, wanted).await?;
    anyhow::ensure!(own.len() == 10 && own.iter().all(|one| one.last.is_some()));
    let id = own.first().context("no conversation")?.conversation.id;

    let mut times = Vec::new();
    let mut add = |name, mut taken: Vec<Duration>| {
        taken.sort_unstable();
        times.push((
            name,
            taken.get(taken.len() / 2).copied().unwrap_or_default(),
        ));
    };
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        pg.list_overviews(&app, &user, wanted).await?;
        taken.push(started.elapsed());
    }
    add("conversation list", std::mem::take(&mut taken));
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let page = pg
            .list_messages(id, Slice::Before(Seq(101)), 50, None)
            .await?;
        taken.push(started.elapsed());
        anyhow::ensure!(page.len() == 50);
    }
    add("history page, newest", std::mem::take(&mut taken));
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let page = pg
            .list_messages(id, Slice::After(Seq(20)), 50, None)
            .await?;
        taken.push(started.elapsed());
        anyhow::ensure!(page.len() == 50);
    }
    add("history page, after", std::mem::take(&mut taken));
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let unread = pg.count_unread(&app, &user, None).await?;
        taken.push(started.elapsed());
        anyhow::ensure!(unread == 30);
    }
    add("unread count", std::mem::take(&mut taken));
    for _ in 0..ROUNDS / 10 {
        let started = Instant::now();
        let found = pg
            .search_messages(&app, &user, "sugar 99", depth, None)
            .await?;
        taken.push(started.elapsed());
        anyhow::ensure!(found.len() == 10);
    }
    add("search", taken);
    Ok(times)
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
