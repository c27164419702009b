//! Tells again what was committed but perhaps never told: its teller died, or NATS was down.

use std::sync::Arc;

use chat_domain::{ChatError, Seq};

use super::people::look_up;
use crate::{
    metrics::Metric,
    ports::{Committed, Event, Events, Origin, Outbox, Range, Slice, Store},
};

/// Batches taken at once.
const ROUND: u32 = 32;

/// Hands over one round of overdue batches; returns whether there may be more at once.
///
/// Receivers know a message by its place, so what arrives twice is dropped there.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`] while the database is; the next round takes them again.
pub async fn sweep_outbox(
    store: &dyn Store,
    outbox: &dyn Outbox,
    events: &dyn Events,
) -> Result<bool, ChatError> {
    if !events.ready() {
        return Ok(false);
    }
    let epoch = store.epoch().await?;
    let due = outbox.claim(ROUND).await?;
    let more = due.len() == ROUND as usize;
    for batch in due {
        let committed = Committed {
            events: read(store, &batch.ranges, epoch).await?,
            outbox: Some(batch.id),
        };
        if !events.publish(committed) {
            return Ok(false);
        }
        Metric::OutboxSwept.increment();
    }
    Ok(more)
}

/// Reads what a batch stored. What was deleted meanwhile is left out.
pub(super) async fn read(
    store: &dyn Store,
    ranges: &[Range],
    epoch: u64,
) -> Result<Vec<Event>, ChatError> {
    let mut events = Vec::new();
    for (app, id, first, last) in ranges {
        let Some(mut conversation) = store.find_conversation(app, *id).await? else {
            continue;
        };
        look_up(store, &mut conversation).await?;
        let conversation = Arc::new(conversation);
        let before = Slice::After(Seq(first.0.saturating_sub(1)));
        let count = u32::try_from(last.0.saturating_sub(first.0) + 1).unwrap_or(u32::MAX);
        for message in store.list_messages(*id, before, count, None).await? {
            events.push(Event::appended(
                &conversation,
                message,
                Origin::default(),
                epoch,
            ));
        }
    }
    Ok(events)
}
