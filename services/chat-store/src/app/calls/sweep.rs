//! What every replica does for calls beside answering: nothing depends on which one does it.

use std::time::Duration;

use chat_domain::{AppId, ChatError};

use crate::ports_calls::{CallHistory, CallState};

/// Calls looked at in one round.
const ROUND: usize = 64;
/// Rows read at once.
const PAGE: u32 = 256;
/// Past this age of the log, rows may lag behind what the state has forgotten.
const MAX_LAG: Duration = Duration::from_secs(30);

/// Ends what is due in each app; returns whether there may be more at once. Due every 500 ms.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`] while the state is; the next round looks again.
pub async fn sweep(state: &dyn CallState, apps: &[AppId]) -> Result<bool, ChatError> {
    let mut more = false;
    for app in apps {
        more |= state.expire(app, ROUND).await? == ROUND;
    }
    Ok(more)
}

/// Puts calls back that the state does not know and that have no outcome, or one of which not
/// everybody was told: it lost its last moments. Due every minute.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`] while the state or the history is.
pub async fn reconcile(state: &dyn CallState, history: &dyn CallHistory) -> Result<(), ChatError> {
    if MAX_LAG < state.lag().await? {
        return Ok(());
    }
    let mut before = None;
    loop {
        let page = history.list_unfinished(before, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        before = Some(last.transition.call.id);
        state.restore(&page).await?;
    }
}
