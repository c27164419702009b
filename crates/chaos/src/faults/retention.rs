//! F21: messages expire, and the partition that they were in goes, while everybody reads and writes.
//!
//! Nobody takes part in the conversation whose messages expire: the rest of the same app, in the same
//! table, is what must not notice.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Site, services::one};
use crate::rng::Rng;

/// How long a store may take that was just started, and looks for what has expired.
const ROUND: Duration = Duration::from_secs(5);

/// The partition of a week that expired long ago.
const MAKE: &str = "SELECT create_message_partitions((now() AT TIME ZONE 'UTC')::date - 100, 1)";

/// A conversation of that week, as the store would have written it.
const FILL: &str = "
WITH old AS (
    SELECT c.conversation_id, c.first_id, c.first_role, c.last_seq + i AS seq,
           (date_trunc('week', (now() AT TIME ZONE 'UTC') - interval '100 days')
               + i * interval '1 ms') AT TIME ZONE 'UTC' AS created_at
    FROM conversations c, generate_series(1, 2000) AS i
    WHERE c.conversation_id::text = $1
), message AS (
    INSERT INTO messages
        (conversation_id, created_at, message_id, seq, sender_id, sender_role, kind, content)
    SELECT conversation_id, created_at, gen_random_uuid(), seq, first_id, first_role, 'text', 'old'
    FROM old
), mark AS (
    INSERT INTO message_marks (conversation_id, seq, created_at)
    SELECT conversation_id, seq, created_at FROM old WHERE seq % 128 = 1
), participant AS (
    UPDATE participants p SET unread = unread + 2000
    WHERE p.conversation_id::text = $1
      AND p.user_id NOT IN (SELECT first_id FROM old)
)
UPDATE conversations c
SET last_seq = c.last_seq + 2000, last_at = (SELECT max(created_at) FROM old)
WHERE c.conversation_id::text = $1";

/// What is left of it: messages, unread ones, and partitions of old weeks.
const LEFT: &str = "
SELECT (SELECT count(*) FROM messages m WHERE m.conversation_id::text = $1)
     + (SELECT sum(unread)::bigint FROM participants p WHERE p.conversation_id::text = $1)
     + (SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'messages'::regclass
          AND c.relname < 'messages_' || to_char(now() - interval '50 days', 'YYYYMMDD'))";

/// Each start of a store is followed by a look for what has expired.
pub(super) async fn expire(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    // The servers may be broken just now; it goes in whole, or not at all.
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = fill(&site).await {
        ensure!(Instant::now() < deadline, "no old messages: {error}");
        sleep(ROUND).await;
    }

    let mut started = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while left(&site).await.is_none_or(|left| left != 0) {
        let now = Instant::now();
        ensure!(now < deadline, "expired messages stay");
        let name = one(&mut rng, &site.stores())?;
        site.replace(&name, Duration::ZERO).await?;
        started.push(name);
        while left(&site).await.is_none_or(|left| left != 0) && now.elapsed() < ROUND {
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(started)
}

async fn fill(site: &Site) -> anyhow::Result<()> {
    let mut transaction = site.database.begin().await?;
    sqlx::query(MAKE).execute(&mut *transaction).await?;
    let query = sqlx::query(FILL).bind(&site.expiring);
    query.execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Returns how much is left, unless nobody can tell.
async fn left(site: &Site) -> Option<i64> {
    let count = sqlx::query_scalar(LEFT).bind(&site.expiring);
    count.fetch_one(&site.database).await.ok()
}
