//! Has accesses in the log before they are answered: docs/adr/0018-accesses-are-chained-before-they-are-answered.md.
//!
//! Those of many users go in one transaction, as [`super::batcher`] has it, though one at a time: writers
//! of a chain take turns anyway. Not here: sending, which is its own record.

use std::sync::Arc;

use chat_domain::{AppId, ChatError, ConversationId, ErrorKind, Message, UserId};
use tokio::sync::{mpsc, oneshot};

use super::{App, Member};
use crate::{
    metrics::Metric,
    ports::Store,
    ports_audit::{Access, Action, Link},
};

/// How many accesses fill a transaction.
const FULL: usize = 512;
/// How many requests may wait for their accesses to be logged; past it, they are refused.
const QUEUE: usize = 4_096;

type Answer = Result<Vec<Link>, ChatError>;

struct Job {
    accesses: Vec<Access>,
    reply: oneshot::Sender<Answer>,
}

/// A handle on the loop, which ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Auditor {
    jobs: mpsc::Sender<Job>,
}

impl Auditor {
    pub(super) fn start(store: Arc<dyn Store>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(queue, store));
        Self { jobs }
    }

    /// Returns when the accesses are durable, and where they are.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when they may not be: what was accessed is not to be shown.
    pub(super) async fn record(&self, accesses: Vec<Access>) -> Answer {
        if accesses.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        let overloaded = |_| ChatError::Unavailable {
            dependency: "chat-store",
            source: "too many accesses are waiting to be logged".into(),
        };
        let job = Job { accesses, reply };
        self.jobs.try_send(job).map_err(overloaded)?;
        answer
            .await
            .map_err(|gone| ChatError::Internal(gone.into()))?
    }
}

async fn run(mut queue: mpsc::Receiver<Job>, store: Arc<dyn Store>) {
    while let Some(mut first) = queue.recv().await {
        let mut accesses = std::mem::take(&mut first.accesses);
        let mut waiting = vec![(accesses.len(), first.reply)];
        while accesses.len() < FULL
            && let Ok(mut job) = queue.try_recv()
        {
            waiting.push((job.accesses.len(), job.reply));
            accesses.append(&mut job.accesses);
        }
        let recorded = store.record(&accesses).await;
        answer(recorded, waiting);
    }
}

/// Gives each its part; whoever gave up has no use for it.
fn answer(recorded: Answer, waiting: Vec<(usize, oneshot::Sender<Answer>)>) {
    match recorded {
        Ok(links) => {
            Metric::AuditRecords.add(links.len());
            let mut links = links.into_iter();
            for (size, reply) in waiting {
                let _ = reply.send(Ok(links.by_ref().take(size).collect()));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for (_, reply) in waiting {
                let _ = reply.send(Err(ChatError::Unavailable {
                    dependency: "postgres",
                    source: Arc::clone(&error).into(),
                }));
            }
        }
    }
}

impl App {
    /// Logs that the member's device connected. A device may be logged more than once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when that may not be durable.
    pub async fn signed_in(&self, member: Member<'_>) -> Result<(), ChatError> {
        let access = by(member, Action::SignIn);
        self.auditor.record(vec![access]).await.map(drop)
    }

    /// Logs what another service told, if one did: after it was done, and before that is confirmed.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when that may not be durable: it is told again.
    pub(super) async fn told(
        &self,
        app: &AppId,
        action: Action,
        subject: Option<&UserId>,
        detail: Option<String>,
    ) -> Result<(), ChatError> {
        let Some(service) = &self.service else {
            return Ok(());
        };
        let access = Access {
            subject: subject.cloned(),
            detail,
            ..Access::new(app, &**service, action)
        };
        self.auditor.record(vec![access]).await.map(drop)
    }

    /// Logs what a member was shown, conversation by conversation, before it is.
    pub(super) async fn showing<'a>(
        &self,
        member: Member<'_>,
        action: Action,
        shown: impl IntoIterator<Item = (ConversationId, impl IntoIterator<Item = &'a Message>)>,
    ) -> Result<(), ChatError> {
        let accesses = shown.into_iter().map(|(id, messages)| {
            let seqs = messages.into_iter().map(|message| message.seq);
            by(member, action).of(id, seqs)
        });
        let recorded = self.auditor.record(accesses.collect());
        recorded.await.map(drop)
    }

    /// Returns `outcome`; if it is a refusal, once that is logged, or counted as lost. For those who ask
    /// something that is not the app's own.
    ///
    /// # Errors
    ///
    /// Returns those of `outcome`.
    pub async fn noting<T>(
        &self,
        member: Member<'_>,
        action: Action,
        conversation: Option<ConversationId>,
        outcome: Result<T, ChatError>,
    ) -> Result<T, ChatError> {
        let is_refused = |error: &ChatError| error.kind() == ErrorKind::Unauthorized;
        if outcome.as_ref().err().is_some_and(is_refused) {
            let access = Access {
                is_refused: true,
                conversation,
                ..by(member, action)
            };
            if let Err(error) = self.auditor.record(vec![access]).await {
                Metric::AuditLost.increment();
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, action = action.as_str(), "a refusal was not logged");
            }
        }
        outcome
    }
}

fn by(member: Member<'_>, action: Action) -> Access {
    Access {
        device: member.device.map(|device| device.to_string()),
        ..Access::new(member.app, member.user.as_str(), action)
    }
}
