//! Turns changes of calls into rows, notices and messages.

use std::{collections::BTreeMap, sync::Arc};

use chat_domain::{
    AppId, ChatError, ClientKey, ErrorKind,
    call::{Call, CallId, Change, Outcome, Side, Transition},
};
use futures_util::future::try_join_all;
use service_kit::now;

use super::{FollowUp, outcome};
use crate::{
    app::{App, Target},
    metrics::Metric,
    ports::{Answer, Sink},
    ports_calls::{CallHistory, CallNotifier, CallState, Logged},
};

/// Rounds of passing on what waited. A sender who outruns all of them has the rest passed on when
/// the change comes again.
const MAX_ROUNDS: usize = 32;
/// A row that is further ahead is of another history: after a loss versions leap by more.
const MAX_AHEAD: u32 = 500;

/// Records each change, tells it, and writes a system message when a call is over; then comes what
/// else follows, and that all of it was done. A change that
/// comes twice is told twice, with the same call and version; one that the history refutes is told to
/// nobody. A call has one message and is counted once, however often its end comes.
#[derive(Clone)]
pub struct Recorder {
    state: Arc<dyn CallState>,
    history: Arc<dyn CallHistory>,
    notifier: Arc<dyn CallNotifier>,
    follow_up: FollowUp,
    app: App,
}

impl Recorder {
    /// Puts it on its ports; messages go through `app`.
    #[must_use]
    pub fn new(
        state: Arc<dyn CallState>,
        history: Arc<dyn CallHistory>,
        notifier: Arc<dyn CallNotifier>,
        follow_up: FollowUp,
        app: App,
    ) -> Self {
        Self {
            state,
            history,
            notifier,
            follow_up,
            app,
        }
    }

    async fn record(&self, batch: &[Logged]) -> Result<(), ChatError> {
        let held = self.history.record(batch).await?;
        let (mut over, mut told) = (Vec::new(), Vec::new());
        for logged in batch {
            let transition = &logged.transition;
            let mut concerns_somebody = true;
            if !held.contains(&transition.call.id) {
                let Some(row) = self.overtaken(logged).await? else {
                    tracing::warn!(
                        call.id = %transition.call.id,
                        call.version = transition.call.version,
                        "a change of a call was late, or decided otherwise before"
                    );
                    continue;
                };
                // Nobody has to hear that a call rings that is over.
                concerns_somebody = row.is_live() || transition.change != Change::Ringing;
            }
            if concerns_somebody {
                self.notifier.tell(logged, &transition.notices()).await?;
                measure(logged);
            }
            told.push(logged);
            if matches!(transition.change, Change::Accepted | Change::Merged) {
                for side in [Side::Caller, Side::Callee] {
                    self.hand_over(&logged.app, &transition.call, side).await?;
                }
            }
            if transition.change.outcome().is_some() {
                over.push(self.write_outcome(&logged.app, &transition.call));
            }
        }
        // Last and all at once: nobody's phone waits for a message.
        try_join_all(over).await?;
        self.follow_up.follow(&told).await?;
        self.finish(&told).await
    }

    /// Returns the row of a call that is ahead of this change: it was written when somebody was
    /// answered, and the log is behind. `None` when the row refutes the change.
    async fn overtaken(&self, logged: &Logged) -> Result<Option<Call>, ChatError> {
        let Transition { call, change, .. } = &logged.transition;
        let row = self.history.find_call(&logged.app, call.id).await?;
        let is_ahead = |row: &Call| {
            let ahead = row.version.checked_sub(call.version);
            change.outcome().is_none() && ahead.is_some_and(|n| 0 < n && n < MAX_AHEAD)
        };
        Ok(row.filter(is_ahead))
    }

    /// Notes that nothing more follows from the calls that are over.
    async fn finish(&self, told: &[&Logged]) -> Result<(), ChatError> {
        let outcomes = told.iter().filter_map(|logged| {
            let outcome = logged.transition.change.outcome()?;
            Some((logged.transition.call.id, outcome))
        });
        let outcomes: BTreeMap<CallId, Outcome> = outcomes.collect();
        let ids: Vec<CallId> = outcomes.keys().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        for id in self.history.mark_followed(&ids).await? {
            if let Some(outcome) = outcomes.get(&id) {
                metrics::counter!(Metric::CallsOver.name(), "outcome" => outcome.as_str())
                    .increment(1);
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
        Err(ChatError::Conflict(
            "signals come faster than they are passed on",
        ))
    }

    /// Writes the message about a call that is over, unless it is there or the app wants none.
    async fn write_outcome(&self, app: &AppId, call: &Call) -> Result<(), ChatError> {
        let config = self.app.apps().get(app);
        let wanted = config.is_some_and(|app| app.policy.calls.outcome_messages);
        let Some(text) = outcome::sentence(call).filter(|_| wanted) else {
            return Ok(());
        };
        let key = ClientKey::new(&format!("call:{}", call.id))?;
        let target = Target::Conversation(call.conversation);
        let posted = self.app.post_system_message(app, target, &text, Some(key));
        match posted.await {
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            Err(error) => {
                // Coming again would not help, and hold up the calls behind it.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    call.id = %call.id,
                    "the outcome of a call was not written into its conversation"
                );
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

impl Sink<Logged> for Recorder {
    fn take<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, ()> {
        Box::pin(self.record(batch))
    }
}

fn measure(logged: &Logged) {
    let transition = &logged.transition;
    let millis = u32::try_from(now().0.saturating_sub(transition.at.0)).unwrap_or(0);
    Metric::CallToldSeconds.observe(f64::from(millis) / 1_000.0);
}
