//! The ports of storage on Postgres. The only place where SQL is.
//!
//! Statements are checked at compile time against `.sqlx`, and name themselves in a comment after
//! their first keyword, so that the server's logs read like the code. No statement here opens a
//! transaction: each is one, and what needs several commands is a function in `migrations/`.

mod audit;
mod calls;
mod contacts;
mod conversations;
mod directory;
mod directory_port;
mod error;
mod expiry;
mod files;
mod journal;
mod journey;
mod messages;
mod out_queue;
mod outbox;
mod overviews;
mod people;
mod receipts;
mod records;
mod resume;
mod revocations;

use std::time::Duration;

use chat_domain::{
    AppId, ChatError, Conversation, ConversationId, Message, MessageId, SubjectId, Timestamp,
    UserId,
};
use futures_util::future::{BoxFuture, join_all};
use sqlx::{
    Connection as _, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::ports::{
    Answer, Delivery, Due, Entry, Head, Journal, JournalError, Marked, NewConversation, Outbox,
    OutboxId, OwnHead, Received, Slice, Store, Written,
};
use crate::ports_out::{OutDue, OutId, OutQueue};
use error::PgError;

/// The schema's history.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// How many weeks of partitions there are ahead.
const WEEKS_AHEAD: i32 = 4;

/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection that was in order is believed to be.
const TRUSTED: Duration = Duration::from_secs(1);

/// Postgres. A clone shares the connections.
#[derive(Debug, Clone)]
pub struct Pg {
    pool: PgPool,
}

impl Pg {
    /// Connects with at most `connections`, or says why not.
    ///
    /// # Errors
    ///
    /// Returns the driver's error for a bad URL, a refused login or a server that is not there.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, sqlx::Error> {
        Self::connect_with(url.parse()?, connections).await
    }

    /// Like [`Pg::connect`], with options instead of a URL.
    ///
    /// # Errors
    ///
    /// Returns the driver's error for a refused login or a server that is not there.
    pub async fn connect_with(
        options: PgConnectOptions,
        connections: u32,
    ) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            // A login costs more than most requests, so the pool keeps them all and opens them now,
            // not when a request waits for one.
            .min_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // To ask before every request whether the server is there doubles the round trips.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(
                    async move { Ok(meta.idle_for < TRUSTED || connection.ping().await.is_ok()) },
                )
            })
            .connect_lazy_with(options);
        let logins = join_all((0..connections).map(|_| pool.acquire())).await;
        // One is enough to go on: upkeep opens the others.
        if logins.iter().all(Result::is_err)
            && let Some(Err(error)) = logins.into_iter().next()
        {
            return Err(error);
        }
        Ok(Self { pool })
    }

    /// Brings the schema up to date; replicas that start together take turns.
    ///
    /// A schema that is newer is left as it is: it serves the release before, too, so that one starts
    /// while the next is rolled out, and after it was rolled back.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is, or while it waits for the owner of the
    /// schema to migrate it, and [`ChatError::Internal`] when a migration cannot be run.
    pub async fn migrate(&self) -> Result<(), ChatError> {
        if self.is_migrated().await? {
            return Ok(());
        }
        let mut migrator = sqlx::migrate!();
        migrator.set_ignore_missing(true);
        let Err(error) = migrator.run(&self.pool).await else {
            return Ok(());
        };
        if is_forbidden(&error) {
            return Err(ChatError::Unavailable {
                dependency: "postgres",
                source: "the schema is older, and its owner has to run `chat-store migrate`".into(),
            });
        }
        if let MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) = error {
            return Err(PgError::from(source).into());
        }
        Err(ChatError::Internal(error.into()))
    }

    /// Tells whether the schema is as this release needs it: all that the services' role can find out.
    async fn is_migrated(&self) -> Result<bool, ChatError> {
        let table = sqlx::query_scalar!(
            r#"SELECT /* migrations.exist */ to_regclass('_sqlx_migrations') IS NOT NULL AS "is_there!""#
        );
        if !table.fetch_one(&self.pool).await.map_err(PgError::from)? {
            return Ok(false);
        }
        // Not checked at compile time: the table is the migrator's own.
        let done: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT /* migrations.list */ version, checksum FROM _sqlx_migrations WHERE success",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(PgError::from)?;
        Ok(MIGRATOR.iter().all(|migration| {
            let is_it = |(version, checksum): &(i64, Vec<u8>)| {
                *version == migration.version && checksum[..] == *migration.checksum
            };
            done.iter().any(is_it)
        }))
    }

    /// Makes the partitions of the coming weeks; returns how many were missing.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn create_partitions(&self) -> Result<i32, ChatError> {
        let made = sqlx::query_scalar!(
            r#"SELECT /* messages.create_partitions */ create_message_partitions(
                   (now() AT TIME ZONE 'UTC')::date, $1) AS "made!""#,
            WEEKS_AHEAD + 1,
        )
        .fetch_one(&self.pool)
        .await
        .map_err(PgError::from)?;
        Ok(made)
    }

    /// Tells whether the database answers.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), ChatError> {
        sqlx::query!("SELECT /* pg.ping */ 1 AS one")
            .fetch_one(&self.pool)
            .await
            .map_err(PgError::from)?;
        Ok(())
    }

    /// Closes the connections, once what uses them has ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn epoch(&self) -> Result<u64, PgError> {
        let epoch = sqlx::query_scalar!(r#"SELECT /* epoch.find */ chat_epoch() AS "epoch!""#)
            .fetch_one(&self.pool)
            .await?;
        messages::epoch(epoch)
    }
}

/// Tells whether a migration was refused to the role that tried it.
fn is_forbidden(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else {
        return false;
    };
    let refusal = source.as_database_error();
    refusal
        .and_then(sqlx::error::DatabaseError::code)
        .as_deref()
        == Some("42501")
}

/// Boxes an answer in the words of the ports.
fn answer<'a, T: Send + 'a>(
    query: impl Future<Output = Result<T, PgError>> + Send + 'a,
) -> Answer<'a, T> {
    Box::pin(async { query.await.map_err(ChatError::from) })
}

impl Journal for Pg {
    fn append<'a>(&'a self, batch: &'a [Entry]) -> BoxFuture<'a, Result<Written, JournalError>> {
        Box::pin(async { Ok(journal::append(&self.pool, batch).await?) })
    }
}

impl Outbox for Pg {
    fn claim(&self, limit: u32) -> Answer<'_, Vec<Due>> {
        answer(outbox::claim(&self.pool, limit))
    }

    fn remove<'a>(&'a self, ids: &'a [OutboxId]) -> Answer<'a, ()> {
        answer(outbox::remove(&self.pool, ids))
    }

    fn leave<'a>(&'a self, ids: &'a [OutboxId]) -> Answer<'a, ()> {
        answer(out_queue::leave(&self.pool, ids))
    }

    fn age_seconds(&self) -> Answer<'_, f64> {
        answer(outbox::age_seconds(&self.pool))
    }
}

impl OutQueue for Pg {
    fn claim_out(&self, limit: u32) -> Answer<'_, Vec<OutDue>> {
        answer(out_queue::claim(&self.pool, limit))
    }

    fn remove_out<'a>(&'a self, ids: &'a [OutId]) -> Answer<'a, ()> {
        answer(out_queue::remove(&self.pool, ids))
    }

    fn prune_out(&self, max_age: Duration) -> Answer<'_, u64> {
        answer(out_queue::prune(&self.pool, max_age))
    }
}

impl Store for Pg {
    fn open_conversation<'a>(&'a self, new: &'a NewConversation) -> Answer<'a, Conversation> {
        answer(conversations::open(&self.pool, new))
    }

    fn find_conversation_of<'a>(
        &'a self,
        app: &'a AppId,
        booking: Option<&'a SubjectId>,
        sides: [&'a UserId; 2],
    ) -> Answer<'a, Option<Conversation>> {
        answer(conversations::find_of(&self.pool, app, booking, sides))
    }

    fn find_conversation<'a>(
        &'a self,
        app: &'a AppId,
        id: ConversationId,
    ) -> Answer<'a, Option<Conversation>> {
        answer(conversations::find(&self.pool, app, id))
    }

    fn find_conversations<'a>(
        &'a self,
        ids: &'a [ConversationId],
    ) -> Answer<'a, Vec<Conversation>> {
        answer(conversations::find_all(&self.pool, ids))
    }

    fn list_conversations<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Vec<Conversation>> {
        answer(conversations::list(&self.pool, app, user, limit))
    }

    fn list_heads<'a>(
        &'a self,
        app: &'a AppId,
        ids: &'a [ConversationId],
    ) -> Answer<'a, Vec<Head>> {
        answer(conversations::list_heads(&self.pool, app, ids))
    }

    fn list_begun<'a>(
        &'a self,
        app: &'a AppId,
        after: (Timestamp, ConversationId),
        limit: u32,
    ) -> Answer<'a, Vec<(Timestamp, Conversation)>> {
        answer(resume::list_begun(&self.pool, app, after, limit))
    }

    fn list_own_heads<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        limit: u32,
    ) -> Answer<'a, Vec<OwnHead>> {
        answer(resume::list_own_heads(&self.pool, app, user, limit))
    }

    fn find_own_heads<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        ids: &'a [ConversationId],
    ) -> Answer<'a, Vec<OwnHead>> {
        answer(resume::find_own_heads(&self.pool, app, user, ids))
    }

    fn list_places<'a>(
        &'a self,
        ids: &'a [ConversationId],
        at: Timestamp,
    ) -> Answer<'a, Vec<Head>> {
        answer(resume::list_places(&self.pool, ids, at))
    }

    fn list_marked<'a>(
        &'a self,
        ids: &'a [ConversationId],
        since: Timestamp,
        depth: u32,
        limit: u32,
    ) -> Answer<'a, Vec<Marked>> {
        answer(resume::list_marked(&self.pool, ids, since, (depth, limit)))
    }

    fn find_unread<'a>(
        &'a self,
        app: &'a AppId,
        conversation: ConversationId,
        user: &'a UserId,
        since: Option<Timestamp>,
    ) -> Answer<'a, Option<u64>> {
        let pool = &self.pool;
        answer(overviews::find_unread(
            pool,
            app,
            (conversation, user),
            since,
        ))
    }

    fn list_messages(
        &self,
        conversation: ConversationId,
        slice: Slice,
        limit: u32,
        since: Option<Timestamp>,
    ) -> Answer<'_, Vec<Message>> {
        let pool = &self.pool;
        answer(messages::list(pool, conversation, slice, (limit, since)))
    }

    fn find_message(
        &self,
        conversation: ConversationId,
        id: MessageId,
    ) -> Answer<'_, Option<Message>> {
        answer(messages::find(&self.pool, conversation, id))
    }

    fn read<'a>(
        &'a self,
        conversation: ConversationId,
        user: &'a UserId,
        ids: &'a [MessageId],
    ) -> Answer<'a, (Received, u64)> {
        answer(receipts::read(&self.pool, conversation, user, ids))
    }

    fn read_newest(
        &self,
        conversation: ConversationId,
        user: UserId,
        limit: u32,
    ) -> Answer<'_, (Received, u64)> {
        answer(receipts::read_newest(&self.pool, conversation, user, limit))
    }

    fn locate_messages<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        ids: &'a [MessageId],
    ) -> Answer<'a, Vec<(ConversationId, MessageId)>> {
        answer(receipts::locate(&self.pool, app, user, ids))
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> Answer<'a, (Received, u64)> {
        answer(receipts::deliver(&self.pool, deliveries))
    }

    fn epoch(&self) -> Answer<'_, u64> {
        answer(Self::epoch(self))
    }
}
