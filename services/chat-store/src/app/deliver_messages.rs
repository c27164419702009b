//! Marks messages as delivered: the receipts of many users in one transaction.
//!
//! There is such a receipt for nearly every message, so they go together, as [`super::batcher`] has it,
//! though one transaction at a time. Not here: reading, which is worth a transaction of its own.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chat_domain::{AppId, ChatError, Conversation, ConversationId, MessageId, Receipt, UserId};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::Member;
use crate::ports::{Committed, Delivery, Event, Events, Origin, Received, Store};

/// How long after a transaction the next one starts.
const LINGER: Duration = Duration::from_millis(25);
/// How many messages fill a transaction.
const FULL: usize = 1_000;
/// How many receipts may wait; past it, they are refused.
const QUEUE: usize = 4_096;

type Answer = Result<Received, ChatError>;

struct Job {
    app: AppId,
    user: UserId,
    conversation: ConversationId,
    ids: Vec<MessageId>,
    origin: Origin,
    reply: oneshot::Sender<Answer>,
}

/// A handle on the loop, which ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Deliverer {
    jobs: mpsc::Sender<Job>,
}

impl Deliverer {
    pub(super) fn start(store: Arc<dyn Store>, events: Arc<dyn Events>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(queue, store, events));
        Self { jobs }
    }

    /// Marks messages that others sent to the member, tells both sides, and returns those marked now.
    pub(super) async fn deliver(
        &self,
        member: Member<'_>,
        conversation: ConversationId,
        ids: &[MessageId],
        origin: Origin,
    ) -> Answer {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            app: member.app.clone(),
            user: member.user.clone(),
            conversation,
            ids: ids.to_vec(),
            origin,
            reply,
        };
        let overloaded = |_| ChatError::Unavailable {
            dependency: "chat-store",
            source: "too many receipts are waiting".into(),
        };
        self.jobs.try_send(job).map_err(overloaded)?;
        answer
            .await
            .map_err(|gone| ChatError::Internal(gone.into()))?
    }
}

async fn run(mut queue: mpsc::Receiver<Job>, store: Arc<dyn Store>, events: Arc<dyn Events>) {
    let mut due = Instant::now();
    while let Some(first) = queue.recv().await {
        tokio::time::sleep_until(due).await;
        due = Instant::now() + LINGER;
        let mut size = first.ids.len();
        let mut jobs = vec![first];
        while size < FULL
            && let Ok(job) = queue.try_recv()
        {
            size += job.ids.len();
            jobs.push(job);
        }
        if let Err(error) = deliver(&*store, &*events, &mut jobs).await {
            let error = Arc::new(error);
            for job in jobs {
                // A caller that gave up has no use for its answer, here and below.
                let _ = job.reply.send(Err(ChatError::Unavailable {
                    dependency: "postgres",
                    source: Arc::clone(&error).into(),
                }));
            }
        }
    }
}

/// Answers the jobs and takes them; what is left after an error has no answer.
async fn deliver(
    store: &dyn Store,
    events: &dyn Events,
    jobs: &mut Vec<Job>,
) -> Result<(), ChatError> {
    let wanted: Vec<ConversationId> = jobs.iter().map(|job| job.conversation).collect();
    let found: HashMap<ConversationId, Conversation> = store
        .find_conversations(&wanted)
        .await?
        .into_iter()
        .map(|conversation| (conversation.id, conversation))
        .collect();
    let deliveries: Vec<Delivery> = jobs
        .iter()
        .filter(|job| place(&found, job).is_ok())
        .flat_map(|job| {
            job.ids.iter().map(|&message| Delivery {
                conversation: job.conversation,
                user: job.user.clone(),
                message,
            })
        })
        .collect();
    let (marked, epoch) = store.deliver(&deliveries).await?;
    let mut ids: HashSet<MessageId> = marked.ids.into_iter().collect();

    let mut told = Vec::new();
    for mut job in jobs.drain(..) {
        let answer = place(&found, &job).map(|conversation| {
            // Of two devices, one has marked it.
            job.ids.retain(|id| ids.remove(id));
            let received = Received {
                ids: job.ids,
                at: marked.at,
            };
            if !received.ids.is_empty() {
                told.push(Event::received(
                    conversation,
                    &job.user,
                    Receipt::Delivered,
                    received.clone(),
                    job.origin,
                    epoch,
                ));
            }
            received
        });
        let _ = job.reply.send(answer);
    }
    if !told.is_empty() {
        // A lost one is repaired when its reader next asks: the state itself is stored.
        events.publish(Committed {
            events: told,
            outbox: None,
        });
    }
    Ok(())
}

/// Returns the job's conversation, if its user takes part.
fn place<'a>(
    found: &'a HashMap<ConversationId, Conversation>,
    job: &Job,
) -> Result<&'a Conversation, ChatError> {
    let conversation = found
        .get(&job.conversation)
        .filter(|conversation| conversation.app == job.app)
        .ok_or(ChatError::ConversationNotFound)?;
    conversation
        .participant(&job.user)
        .map(|_| conversation)
        .ok_or(ChatError::NotParticipant)
}
