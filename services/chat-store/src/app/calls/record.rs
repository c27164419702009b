//! Turns changes of calls into rows and notices.

use std::sync::Arc;

use chat_domain::{
    AppId, ChatError,
    call::{Call, Change, Side},
};

use crate::{
    ports::Answer,
    ports_calls::{CallHistory, CallNotifier, CallSink, CallState, Logged},
};

/// Rounds of passing on what waited; what comes during the last waits for whoever comes next.
const MAX_ROUNDS: usize = 8;

/// Records each change, then tells it. A change that comes twice is told twice, with the same call
/// and version; one that the history refutes is told to nobody.
#[derive(Clone)]
pub struct Recorder {
    state: Arc<dyn CallState>,
    history: Arc<dyn CallHistory>,
    notifier: Arc<dyn CallNotifier>,
}

impl Recorder {
    /// Puts it on its ports.
    #[must_use]
    pub fn new(
        state: Arc<dyn CallState>,
        history: Arc<dyn CallHistory>,
        notifier: Arc<dyn CallNotifier>,
    ) -> Self {
        Self {
            state,
            history,
            notifier,
        }
    }

    async fn record(&self, batch: &[Logged]) -> Result<(), ChatError> {
        let held = self.history.record(batch).await?;
        for logged in batch {
            let transition = &logged.transition;
            if !held.contains(&transition.call.id) {
                tracing::warn!(
                    call.id = %transition.call.id,
                    call.version = transition.call.version,
                    "a change of a call was late, or decided otherwise before"
                );
                continue;
            }
            self.notifier.tell(logged, &transition.notices()).await?;
            if matches!(transition.change, Change::Accepted | Change::Merged) {
                for side in [Side::Caller, Side::Callee] {
                    self.hand_over(&logged.app, &transition.call, side).await?;
                }
            }
        }
        Ok(())
    }

    /// Passes on what waited for somebody to accept.
    async fn hand_over(&self, app: &AppId, call: &Call, side: Side) -> Result<(), ChatError> {
        for _ in 0..MAX_ROUNDS {
            let Some(handed) = self.state.waiting(app, call, side).await? else {
                return Ok(());
            };
            self.notifier.pass_on(app, &handed).await?;
            self.state.handed(app, &handed).await?;
        }
        Ok(())
    }
}

impl CallSink for Recorder {
    fn take<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, ()> {
        Box::pin(self.record(batch))
    }
}
