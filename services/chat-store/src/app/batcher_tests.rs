use std::sync::atomic::{AtomicUsize, Ordering};

use chat_domain::{
    AppId, Content, Conversation, ConversationId, Message, MessageId, Participant, Role, Seq,
    Subject, Timestamp, UserId,
};
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::ports::{Key, OutboxId};

/// A journal that answers as it is told, when it is allowed to.
struct Scripted {
    allowed: Semaphore,
    batches: Mutex<Vec<usize>>,
    seq: AtomicUsize,
    fail: fn(&[Entry]) -> Option<JournalError>,
}

impl Scripted {
    fn new(allowed: usize, fail: fn(&[Entry]) -> Option<JournalError>) -> Arc<Self> {
        Arc::new(Self {
            allowed: Semaphore::new(allowed),
            batches: Mutex::default(),
            seq: AtomicUsize::new(0),
            fail,
        })
    }

    fn batches(&self) -> Vec<usize> {
        self.batches.lock().clone()
    }
}

impl Journal for Scripted {
    fn append<'a>(&'a self, batch: &'a [Entry]) -> BoxFuture<'a, Result<Written, JournalError>> {
        Box::pin(async {
            self.batches.lock().push(batch.len());
            self.allowed.acquire().await.unwrap().forget();
            if let Some(error) = (self.fail)(batch) {
                return Err(error);
            }
            let outcomes = batch
                .iter()
                .map(|entry| {
                    let place = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
                    stored(entry, Seq(place as u64))
                })
                .collect();
            Ok(Written {
                outcomes,
                outbox: Some(OutboxId(1)),
                epoch: 7,
            })
        })
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<Committed>>);

impl Events for Told {
    fn publish(&self, committed: Committed) -> bool {
        self.0.lock().push(committed);
        true
    }

    fn ready(&self) -> bool {
        true
    }
}

fn stored(entry: &Entry, seq: Seq) -> Outcome {
    let side = |user: &str, role| Participant::new(UserId::new(user).unwrap(), role);
    let conversation = Arc::new(Conversation {
        id: entry.conversation,
        app: entry.app.clone(),
        subject: Subject::Pair,
        participants: [side("c", Role::Consultant), side("p", Role::Patient)],
        last_seq: seq,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    });
    let message = Message {
        id: MessageId::new(entry.conversation, 0, seq.0),
        conversation: entry.conversation,
        seq,
        sender: entry.sender.clone(),
        sender_role: Role::Patient,
        client_key: None,
        content: entry.content.clone(),
        created_at: Timestamp(0),
        delivered_at: None,
        read_at: None,
    };
    Outcome::Stored {
        conversation,
        message,
        duplicate: false,
    }
}

fn entry(text: &str) -> Entry {
    Entry {
        app: AppId::new("app").unwrap(),
        conversation: ConversationId(Uuid::from_u128(1)),
        sender: UserId::new("p").unwrap(),
        key: Key::fresh(),
        content: Content::system(text).unwrap(),
    }
}

fn start(journal: &Arc<Scripted>, limits: BatchLimits) -> (Batcher, Arc<Told>) {
    let told = Arc::new(Told::default());
    let batcher = Batcher::start(journal.clone(), told.clone(), limits);
    (batcher, told)
}

const LIMITS: BatchLimits = BatchLimits {
    messages: 4,
    linger: Duration::from_millis(2),
    in_flight: 1,
    queue: 16,
};

fn never(_: &[Entry]) -> Option<JournalError> {
    None
}

fn poisoned(batch: &[Entry]) -> Option<JournalError> {
    let bad = batch.iter().any(|entry| entry.content.text() == "poison");
    bad.then(|| JournalError::Poison(ChatError::Malformed("poison")))
}

async fn append(batcher: &Batcher, text: &str) -> Result<Outcome, ChatError> {
    let answered = batcher.append(vec![entry(text)], Origin::default()).await?;
    answered.outcomes.into_iter().next().unwrap()
}

/// Starts appends one after the other and returns once all of them are queued or in flight.
async fn queue(batcher: &Batcher, count: usize) -> Vec<tokio::task::JoinHandle<bool>> {
    let before = batcher.room.available_permits();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let batcher = batcher.clone();
            tokio::spawn(async move { append(&batcher, "x").await.is_ok() })
        })
        .collect();
    while batcher.room.available_permits() > before - count {
        tokio::task::yield_now().await;
    }
    tasks
}

#[tokio::test(start_paused = true)]
async fn alone_nobody_waits_for_company() {
    let journal = Scripted::new(1, never);
    let (batcher, _) = start(&journal, LIMITS);
    let started = Instant::now();

    append(&batcher, "x").await.unwrap();

    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_comes_right_behind_waits_for_company() {
    let journal = Scripted::new(3, never);
    let limits = BatchLimits {
        in_flight: 2,
        ..LIMITS
    };
    let (batcher, _) = start(&journal, limits);
    append(&batcher, "x").await.unwrap();
    let started = Instant::now();

    let (one, two) = tokio::join!(append(&batcher, "x"), append(&batcher, "x"));

    assert!(one.is_ok() && two.is_ok());
    assert_eq!(journal.batches(), [1, 2]);
    assert_eq!(started.elapsed(), limits.linger);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_meanwhile_goes_together_up_to_the_limit() {
    let journal = Scripted::new(0, never);
    let (batcher, _) = start(&journal, LIMITS);
    let mut tasks = queue(&batcher, 1).await;
    while journal.batches().is_empty() {
        tokio::task::yield_now().await;
    }
    tasks.extend(queue(&batcher, 6).await);

    journal.allowed.add_permits(3);

    assert!(join_all(tasks).await.into_iter().all(Result::unwrap));
    assert_eq!(journal.batches(), [1, 4, 2]);
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let journal = Scripted::new(0, never);
    let (batcher, _) = start(&journal, LIMITS);
    let tasks = queue(&batcher, LIMITS.queue).await;

    let refused = append(&batcher, "x").await.unwrap_err();

    assert!(matches!(refused, ChatError::Unavailable { .. }));
    journal.allowed.add_permits(LIMITS.queue);
    assert!(join_all(tasks).await.into_iter().all(Result::unwrap));
    append(&batcher, "x").await.unwrap();
}

#[tokio::test]
async fn a_poisoned_entry_spoils_only_itself() {
    let journal = Scripted::new(100, poisoned);
    let (batcher, told) = start(&journal, LIMITS);
    let batch = ["a", "poison", "b"].map(entry).to_vec();

    let answered = batcher.append(batch, Origin::default()).await.unwrap();

    let fine: Vec<_> = answered.outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, true]);
    assert_eq!(journal.batches(), [3, 1, 1, 1]);
    assert_eq!(told.0.lock().len(), 2);
    assert_eq!(answered.epoch, 7);
}

#[tokio::test]
async fn a_batch_in_others_way_is_repeated_and_then_given_up() {
    let journal = Scripted::new(100, |_| {
        Some(JournalError::Conflict(ChatError::Malformed("deadlock")))
    });
    let (batcher, told) = start(&journal, LIMITS);

    let error = append(&batcher, "x").await.unwrap_err();

    assert!(matches!(error, ChatError::Unavailable { .. }));
    assert_eq!(journal.batches().len(), ATTEMPTS as usize);
    assert!(told.0.lock().is_empty());
}

#[tokio::test]
async fn an_unknown_outcome_is_told_to_everybody_and_not_repeated() {
    let journal = Scripted::new(100, |_| {
        Some(JournalError::Unknown(ChatError::Malformed("gone")))
    });
    let (batcher, _) = start(&journal, LIMITS);
    let batch = ["a", "b"].map(entry).to_vec();

    let answered = batcher.append(batch, Origin::default()).await.unwrap();

    let unavailable =
        |outcome: &Result<_, _>| matches!(outcome, Err(ChatError::Unavailable { .. }));
    assert!(answered.outcomes.iter().all(unavailable));
    assert_eq!(answered.outcomes.len(), 2);
    assert_eq!(journal.batches(), [2]);
}
