//! Puts the appends of many callers into few transactions.
//!
//! A batch leaves when it is full, else no sooner than its linger after the one before it: a message
//! that comes alone waits for no company. What arrives while all slots are taken joins the next batch,
//! so batches grow by themselves under load. It makes no order of its own: entries go in as they came.

use std::{sync::Arc, time::Duration};

use chat_domain::ChatError;
use service_kit::{Span, SpanKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};

use crate::{
    metrics::Metric,
    ports::{Committed, Entry, Event, Events, Journal, JournalError, Origin, Outcome, Written},
};

/// How appends are coalesced.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Most messages in one transaction.
    pub messages: usize,
    /// How long after a batch the next one leaves that is not full.
    pub linger: Duration,
    /// Most transactions at a time.
    pub in_flight: usize,
    /// Most messages waiting or in flight; past it, callers are refused.
    pub queue: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            messages: 256,
            linger: Duration::from_millis(1),
            in_flight: 2,
            queue: 8_192,
        }
    }
}

/// How often a batch is tried that others were in the way of.
const ATTEMPTS: u32 = 4;

/// What a caller gets back.
pub(super) struct Answered {
    /// One per entry, in order.
    pub(super) outcomes: Vec<Result<Outcome, ChatError>>,
    pub(super) epoch: u64,
}

struct Job {
    entries: Vec<Entry>,
    origin: Origin,
    reply: oneshot::Sender<Answered>,
    /// The job's place among the waiting messages, free when it is answered.
    _room: OwnedSemaphorePermit,
}

/// A handle on the loop, which ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Batcher {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

impl Batcher {
    pub(super) fn start(
        journal: Arc<dyn Journal>,
        events: Arc<dyn Events>,
        limits: BatchLimits,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(limits.queue);
        let writer = Arc::new(Writer { journal, events });
        tokio::spawn(run(queue, writer, limits));
        Self {
            jobs,
            room: Arc::new(Semaphore::new(limits.queue)),
        }
    }

    /// Appends entries in order and waits until they are durable.
    pub(super) async fn append(
        &self,
        entries: Vec<Entry>,
        origin: Origin,
    ) -> Result<Answered, ChatError> {
        let size = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(size)
            .map_err(|_| overloaded())?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            entries,
            origin,
            reply,
            _room: room,
        };
        self.jobs.try_send(job).map_err(|_| overloaded())?;
        answer
            .await
            .map_err(|gone| ChatError::Internal(gone.into()))
    }
}

fn overloaded() -> ChatError {
    Metric::AppendsRefused.increment();
    ChatError::Unavailable {
        dependency: "chat-store",
        source: "too many messages are waiting".into(),
    }
}

async fn run(mut queue: mpsc::Receiver<Job>, writer: Arc<Writer>, limits: BatchLimits) {
    let slots = Arc::new(Semaphore::new(limits.in_flight));
    let mut early: Option<Job> = None;
    let mut due = Instant::now();
    loop {
        let first = match early.take() {
            Some(job) => job,
            None => match queue.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let mut size = first.entries.len();
        let mut batch = vec![first];
        let mut open = true;
        let mut lingered = due <= Instant::now();

        let slot = loop {
            let full = early.is_some() || size >= limits.messages;
            tokio::select! {
                biased;
                job = queue.recv(), if open && !full => match job {
                    Some(job) if size + job.entries.len() > limits.messages => early = Some(job),
                    Some(job) => {
                        size += job.entries.len();
                        batch.push(job);
                    }
                    None => open = false,
                },
                slot = Arc::clone(&slots).acquire_owned(), if full || lingered || !open => break slot,
                () = tokio::time::sleep_until(due), if !lingered => lingered = true,
            }
        };
        let Ok(slot) = slot else { return }; // The semaphore is never closed.
        due = Instant::now() + limits.linger;
        let writer = Arc::clone(&writer);
        tokio::spawn(async move {
            writer.write(batch).await;
            drop(slot);
        });
    }
}

struct Writer {
    journal: Arc<dyn Journal>,
    events: Arc<dyn Events>,
}

impl Writer {
    async fn write(&self, mut jobs: Vec<Job>) {
        let mut entries = Vec::new();
        let mut origins = Vec::new();
        let mut sizes = Vec::with_capacity(jobs.len());
        for job in &mut jobs {
            sizes.push(job.entries.len());
            origins.resize(origins.len() + job.entries.len(), job.origin.clone());
            entries.append(&mut job.entries);
        }
        Metric::AppendBatchSize.observe_count(entries.len());

        let mut answered = self.store(&entries, &origins).await;
        let mut outcomes = answered.outcomes.drain(..);
        for (job, size) in jobs.into_iter().zip(sizes) {
            // A caller that gave up has no use for its answer.
            let _ = job.reply.send(Answered {
                outcomes: outcomes.by_ref().take(size).collect(),
                epoch: answered.epoch,
            });
        }
    }

    /// Stores entries together, or one by one when one of them spoils the batch.
    async fn store(&self, entries: &[Entry], origins: &[Origin]) -> Answered {
        match self.try_store(entries, origins).await {
            Ok(written) => self.tell(origins, written),
            Err(JournalError::Poison(_)) if entries.len() > 1 => {
                Metric::AppendBatchesSplit.increment();
                let mut answered = Answered {
                    outcomes: Vec::with_capacity(entries.len()),
                    epoch: 0,
                };
                for (entry, origin) in entries.iter().zip(origins) {
                    let one = Box::pin(
                        self.store(std::slice::from_ref(entry), std::slice::from_ref(origin)),
                    )
                    .await;
                    answered.epoch = answered.epoch.max(one.epoch);
                    answered.outcomes.extend(one.outcomes);
                }
                answered
            }
            Err(error) => refuse(entries.len(), error),
        }
    }

    async fn try_store(
        &self,
        entries: &[Entry],
        origins: &[Origin],
    ) -> Result<Written, JournalError> {
        let started = Instant::now();
        let mut spans = spans(origins);
        let mut attempt = 1;
        let outcome = loop {
            match self.journal.append(entries).await {
                Err(JournalError::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
                outcome => break outcome,
            }
        };
        Metric::AppendSeconds.observe(started.elapsed().as_secs_f64());
        if outcome.is_err() {
            for span in &mut spans {
                span.fail("not_stored");
            }
        }
        outcome
    }

    fn tell(&self, origins: &[Origin], written: Written) -> Answered {
        let events = origins
            .iter()
            .zip(&written.outcomes)
            .filter_map(|(origin, outcome)| match outcome {
                Outcome::Stored {
                    conversation,
                    message,
                    duplicate: false,
                } => Some(Event::appended(
                    conversation,
                    message.clone(),
                    origin.clone(),
                    written.epoch,
                )),
                Outcome::Stored { .. }
                | Outcome::KeyReused(_)
                | Outcome::NotParticipant
                | Outcome::ConversationNotFound => None,
            })
            .collect::<Vec<_>>();
        if !events.is_empty() {
            // Not taken means told later, by whoever sweeps the outbox.
            self.events.publish(Committed {
                events,
                outbox: written.outbox,
            });
        }
        Answered {
            outcomes: written.outcomes.into_iter().map(Ok).collect(),
            epoch: written.epoch,
        }
    }
}

/// Begins a span of the transaction in each sampled request that it stores something for.
fn spans(origins: &[Origin]) -> Vec<Span> {
    let requests = origins.chunk_by(|one, next| one.traceparent == next.traceparent);
    let spans = requests.filter_map(|request| {
        let traceparent = &request.first()?.traceparent;
        let name = format_args!("append_messages");
        let mut span = Span::below(traceparent, name, SpanKind::Client);
        span.place()?;
        span.set("db.system.name", "postgresql");
        span.set("db.stored_procedure.name", "append_messages");
        span.count("db.operation.batch.size", origins.len());
        Some(span)
    });
    spans.collect()
}

/// Answers every entry of a failed batch; only a single entry is itself to blame.
fn refuse(size: usize, error: JournalError) -> Answered {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "a batch of messages was not stored"
    );
    let outcomes = match error {
        JournalError::Poison(error) => vec![Err(error)],
        JournalError::Conflict(error) | JournalError::Unknown(error) => {
            let error = Arc::new(error);
            (0..size)
                .map(|_| {
                    Err(ChatError::Unavailable {
                        dependency: "postgres",
                        source: Arc::clone(&error).into(),
                    })
                })
                .collect()
        }
    };
    Answered { outcomes, epoch: 0 }
}

#[cfg(test)]
#[path = "batcher_tests.rs"]
mod tests;
