//! Delivery receipts on their way to the store, collected for a moment.
//!
//! They are a courtesy to the sender: when there is no room some are dropped, and reading or the
//! next fetch of history sets them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chat_domain::{ConversationId, MessageId, Receipt};
use hashbrown::HashMap;
use parking_lot::Mutex;
use service_kit::TraceParent;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::DelayLine;
use crate::{metrics::Metric, registry::UserKey, store::Store};

/// How long receipts are collected.
const COLLECT: Duration = Duration::from_millis(100);
/// How many conversations may have receipts waiting.
const MAX_WAITING: usize = 50_000;
/// How many receipts one conversation collects: what one request takes.
const MAX_IDS: usize = 500;
/// How many requests are under way at once.
const MAX_REQUESTS: usize = 32;

type Key = (UserKey, ConversationId);

/// Receipts by recipient and conversation.
#[derive(Debug)]
pub struct Receipts {
    waiting: Mutex<HashMap<Key, Vec<MessageId>>>,
    line: DelayLine<Key>,
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            line: DelayLine::new(COLLECT, MAX_WAITING),
        }
    }
}

impl Receipts {
    /// Notes that a message was written to a live socket of its recipient.
    pub fn note(&self, user: &UserKey, conversation: ConversationId, message: MessageId) {
        let key = (user.clone(), conversation);
        let mut waiting = self.waiting.lock();
        if let Some(ids) = waiting.get_mut(&key) {
            if ids.len() < MAX_IDS {
                ids.push(message);
                return;
            }
        } else if self.line.push(key.clone()) {
            waiting.insert(key, vec![message]);
            return;
        }
        metrics::counter!(Metric::ReceiptsDropped.name()).increment(1);
    }

    /// Waits until a request is under way for all that was noted.
    pub async fn settled(&self) {
        while !self.waiting.lock().is_empty() {
            tokio::time::sleep(COLLECT).await;
        }
    }

    /// Sends what was collected. Runs until dropped; requests under way end on `tasks`.
    pub async fn run(&self, store: Store, tasks: TaskTracker) {
        let requests = Arc::new(Semaphore::new(MAX_REQUESTS));
        loop {
            for key in self.line.due(MAX_REQUESTS).await {
                let Some(ids) = self.waiting.lock().remove(&key) else {
                    continue;
                };
                let Ok(permit) = Arc::clone(&requests).acquire_owned().await else {
                    return;
                };
                let store = store.clone();
                tasks.spawn(async move {
                    send(&store, &key, &ids).await;
                    drop(permit);
                });
            }
        }
    }
}

async fn send(store: &Store, (user, conversation): &Key, ids: &[MessageId]) {
    let by = (Bytes::new(), TraceParent::current().to_string());
    let outcome = store
        .receive(user, *conversation, ids, Receipt::Delivered, by)
        .await;
    if let Err(error) = outcome {
        metrics::counter!(Metric::ReceiptsDropped.name()).increment(ids.len() as u64);
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, conversation.id = %conversation, "delivery not marked");
    }
}
