//! What the append function reaches alone: no services, no NATS, no sockets.
//!
//! Run by the benchmarks, on the same server and in the same run as the whole system, in a database
//! of its own that it drops at the end. Prints one line of JSON.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chat_domain::{
    AppId, Content, Conversation, ConversationId, MessageKind, Participant, Role, SubjectId, UserId,
};
use chat_store::{
    pg::Pg,
    ports::{Entry, Journal as _, Key, NewConversation, Outcome, Store as _},
};
use clap::Parser;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// Batches under way at once, as the store has them.
const IN_FLIGHT: u32 = 8;
/// Messages of a batch, at most what the store puts into one.
const BATCH: usize = 256;
/// Conversations that share the messages.
const CONVERSATIONS: usize = 200;

#[derive(Debug, Parser)]
struct Args {
    /// How long to append.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A server where databases may be created.
    #[arg(long, env = "DATABASE_URL")]
    database_url: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let name = format!("yardstick_{}", Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(&args.database_url).await?;
    execute(&mut admin, format!("CREATE DATABASE {name}")).await?;
    let measured = measure(&args, &name).await;
    execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await?;

    println!("{{\"batched_per_second\":{:.1}}}", measured?);
    Ok(())
}

async fn execute(admin: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    // The name is a UUID of our own.
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(admin)
        .await?;
    Ok(())
}

/// Returns the messages a second that were stored.
async fn measure(args: &Args, database: &str) -> anyhow::Result<f64> {
    let options: PgConnectOptions = args.database_url.parse()?;
    let pg = Pg::connect_with(options.database(database), IN_FLIGHT).await?;
    pg.migrate().await?;
    pg.create_partitions().await?;
    let conversations: Arc<[Conversation]> = conversations(&pg).await?.into();

    let end = Instant::now() + Duration::from_secs(args.seconds);
    let started = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..usize::try_from(IN_FLIGHT)? {
        writers.spawn(write(pg.clone(), Arc::clone(&conversations), n, end));
    }
    let mut n_stored = 0;
    while let Some(writer) = writers.join_next().await {
        n_stored += writer??;
    }
    let elapsed = started.elapsed().as_secs_f64();
    pg.close().await;
    Ok(f64::from(n_stored) / elapsed)
}

async fn conversations(pg: &Pg) -> anyhow::Result<Vec<Conversation>> {
    let mut made = Vec::with_capacity(CONVERSATIONS);
    for n in 0..CONVERSATIONS {
        let participant = |side: &str, role| -> anyhow::Result<Participant> {
            Ok(Participant::new(UserId::new(&format!("{side}-{n}"))?, role))
        };
        let new = NewConversation {
            id: ConversationId(Uuid::now_v7()),
            app: AppId::new("yardstick")?,
            booking: Some(SubjectId::new(&format!("booking-{n}"))?),
            participants: [
                participant("consultant", Role::Consultant)?,
                participant("patient", Role::Patient)?,
            ],
        };
        made.push(pg.open_conversation(&new).await?);
    }
    Ok(made)
}

/// Stores batch after batch; each writer goes through the conversations from another one on.
async fn write(
    pg: Pg,
    conversations: Arc<[Conversation]>,
    offset: usize,
    end: Instant,
) -> anyhow::Result<u32> {
    let content = Content::new(
        MessageKind::Text,
        "as fast as it goes",
        None,
        Content::MAX_CHARS,
    )?;
    let mut next = (0..conversations.len()).cycle().skip(offset * 25);
    let mut n_stored = 0;
    while Instant::now() < end {
        let batch = next
            .by_ref()
            .take(BATCH)
            .filter_map(|n| conversations.get(n))
            .map(|conversation| Entry {
                app: conversation.app.clone(),
                conversation: conversation.id,
                sender: conversation.participants[1].user.clone(),
                key: Key::fresh(),
                content: content.clone(),
            })
            .collect::<Vec<_>>();
        let written = pg.append(&batch).await.context("a batch was not stored")?;
        let stored = |outcome: &&Outcome| matches!(outcome, Outcome::Stored { .. });
        n_stored += u32::try_from(written.outcomes.iter().filter(stored).count())?;
    }
    Ok(n_stored)
}
