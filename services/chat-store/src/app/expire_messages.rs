//! Deletes messages that have expired. Nobody has seen them since: whoever reads leaves them out.

use chat_domain::{AppId, ChatError, ConversationId, Timestamp};
use service_kit::apps::Apps;
use uuid::Uuid;

use crate::ports::Shredder;

/// About how many messages one transaction deletes.
const BATCH: u32 = 1_000;

/// Deletes what has expired in any app at `now`, then the partitions that nothing is left in; returns
/// how many messages and partitions. Due a few times a day; any number of replicas may do it.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`] while the database is; what is left goes the next time.
pub async fn expire_messages(
    shredder: &dyn Shredder,
    apps: &Apps,
    now: Timestamp,
) -> Result<(u64, u32), ChatError> {
    let mut deleted = 0;
    let mut newest = None;
    for app in apps.iter() {
        let Some(retention) = app.policy.retention else {
            continue;
        };
        let before = retention.horizon(now);
        newest = newest.max(Some(before));
        deleted += shred(shredder, &app.id, before).await?;
    }
    let dropped = match newest {
        Some(before) => shredder.drop_partitions(before).await?,
        None => 0,
    };
    Ok((deleted, dropped))
}

async fn shred(shredder: &dyn Shredder, app: &AppId, before: Timestamp) -> Result<u64, ChatError> {
    let mut deleted = 0;
    let mut next = Some(ConversationId(Uuid::nil()));
    while let Some(after) = next {
        let (count, go_on) = shredder.expire(app, before, after, BATCH).await?;
        deleted += count;
        next = go_on;
    }
    Ok(deleted)
}
