//! Finding and closing gaps: NATS may lose an event, the database does not.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{AppId, ChatError, ConversationId, Seq, Timestamp};
use hashbrown::HashMap;

use super::{Delivery, encode};
use crate::{journal::Way, metrics::Metric, random, registry::UserKey, store};

/// How long a missing event may be late before it is fetched.
const REORDER: Duration = Duration::from_millis(50);
/// How many messages are fetched at once.
pub(super) const MAX_RANGE: u32 = 500;
/// How many positions are asked for at once.
const MAX_HEADS: usize = 500;
/// How far two rounds overlap that look for new conversations, in milliseconds: clocks differ, and what
/// began may be committed late.
const OVERLAP_MS: i64 = 60_000;
/// The pause between two such requests, so that a reconnect of many gateways is bearable.
const PACE: Duration = Duration::from_millis(100);
/// How often the store is asked for something that it does not know.
pub(super) const MAX_FRUITLESS: u32 = 5;
/// The pause before the first and the longest before a further attempt.
pub(super) const BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(5));

impl Delivery {
    /// Keeps all positions checked: every 20 s ± 5 s, soon after joins, and at once when events may
    /// have been missed. Runs until dropped.
    pub async fn check_positions(self: &Arc<Self>) {
        let (began, running) = (service_kit::now(), Instant::now());
        let mut since = began;
        loop {
            let spread = Duration::from_millis(random::bits() % 10_000);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(15) + spread) => {}
                () = self.resumed.notified() => {}
            }
            self.check_all().await;
            // Whoever sets the clock meanwhile leaves out nothing.
            let now = began.after(running.elapsed());
            self.check_begun(&mut since, now).await;
        }
    }

    /// Checks conversations that were just joined. Runs until dropped.
    pub async fn check_joined(self: &Arc<Self>) {
        loop {
            let mut by_app: HashMap<AppId, Vec<ConversationId>> = HashMap::new();
            for (app, conversation) in self.joins.due(MAX_HEADS).await {
                by_app.entry(app).or_default().push(conversation);
            }
            for (app, conversations) in by_app {
                self.check(&app, &conversations).await;
            }
        }
    }

    /// Has what is missing in a conversation fetched unless it arrives in a moment.
    pub(super) fn repair_later(self: &Arc<Self>, conversation: ConversationId) {
        let delivery = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::time::sleep(REORDER).await;
            delivery.repair(conversation).await;
        });
    }

    /// Learns where a user's conversations stand.
    pub fn opened(self: &Arc<Self>, user: &UserKey, opened: &store::Opened) {
        let reached = opened.heads.iter().zip(&opened.changed_at);
        let heads = reached.map(|((conversation, head), at)| (*conversation, *head, *at));
        let (complete, epoch) = (opened.complete, opened.epoch);
        let behind = self.registry.open(user, heads, complete, epoch);
        for conversation in behind {
            self.repair_later(conversation);
        }
    }

    async fn check_all(self: &Arc<Self>) {
        let mut by_app: HashMap<AppId, Vec<ConversationId>> = HashMap::new();
        for part in 0..self.conversations.n_parts() {
            for (app, ids) in self.conversations.part(part) {
                let batch = by_app.entry(app.clone()).or_default();
                batch.extend(ids);
                while MAX_HEADS <= batch.len() {
                    let rest = batch.split_off(MAX_HEADS);
                    let full = std::mem::replace(batch, rest);
                    self.check(&app, &full).await;
                    tokio::time::sleep(PACE).await;
                }
            }
        }
        for (app, batch) in by_app {
            if !batch.is_empty() {
                self.check(&app, &batch).await;
            }
        }
    }

    /// Looks for conversations that began since, all of whose events may have been lost.
    async fn check_begun(self: &Arc<Self>, since: &mut Timestamp, now: Timestamp) {
        for app in self.apps.iter() {
            let began_at = Timestamp(since.0.saturating_sub(OVERLAP_MS));
            if let Err(error) = self.find_begun(&app.id, began_at).await {
                // The next round begins where this one did.
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "new conversations not looked for");
                return;
            }
        }
        *since = now;
    }

    async fn find_begun(
        self: &Arc<Self>,
        app: &AppId,
        began_at: Timestamp,
    ) -> Result<(), ChatError> {
        let mut after = (began_at, None);
        loop {
            let page = self.store.begun(app, after).await?;
            for conversation in &page.conversations {
                let (id, head) = (conversation.id, conversation.last_seq);
                for side in &conversation.participants {
                    let user = UserKey {
                        app: app.clone(),
                        user: side.user.clone(),
                    };
                    self.registry.begin(&user, id, page.epoch);
                }
                if self.conversations.observe(id, page.epoch, head) {
                    self.repair_later(id);
                }
            }
            let Some((began_at, last)) = page.next else {
                return Ok(());
            };
            after = (began_at, Some(last));
            tokio::time::sleep(PACE).await;
        }
    }

    async fn check(self: &Arc<Self>, app: &AppId, conversations: &[ConversationId]) {
        match self.store.heads(app, conversations).await {
            Ok(reply) => {
                for (conversation, head) in reply.heads {
                    if self.conversations.observe(conversation, reply.epoch, head) {
                        self.repair_later(conversation);
                    }
                }
            }
            // The next round asks again.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "positions not checked");
            }
        }
    }

    /// Fetches until nothing is missing, or nobody here is in the conversation.
    async fn repair(self: &Arc<Self>, conversation: ConversationId) {
        let mut pause = BACKOFF.0;
        let mut n_fruitless = 0;
        while let Some((app, after)) = self.missing(conversation) {
            let outcome = self.fetch(&app, conversation, after).await;
            let label = match &outcome {
                Ok(ControlFlow::Continue(())) => "progress",
                Ok(ControlFlow::Break(())) => "fruitless",
                Err(_) => "failed",
            };
            metrics::counter!(Metric::GapRepairs.name(), "outcome" => label).increment(1);
            match outcome {
                Ok(ControlFlow::Continue(())) => {
                    pause = BACKOFF.0;
                    n_fruitless = 0;
                    continue;
                }
                Ok(ControlFlow::Break(())) if MAX_FRUITLESS <= n_fruitless => {
                    tracing::warn!(conversation.id = %conversation, "gap without messages given up");
                    self.conversations
                        .with(conversation, |tracker, _app| tracker.give_up());
                    return;
                }
                Ok(ControlFlow::Break(())) => n_fruitless += 1,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, conversation.id = %conversation, "gap not repaired yet");
                }
            }
            tokio::time::sleep(random::jitter(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    fn missing(&self, conversation: ConversationId) -> Option<(AppId, Seq)> {
        self.conversations.with(conversation, |tracker, app| {
            Some((app.clone(), tracker.missing()?))
        })?
    }

    /// Fetches what follows `after` and delivers it; breaks when the store knows of nothing.
    async fn fetch(
        self: &Arc<Self>,
        app: &AppId,
        conversation: ConversationId,
        after: Seq,
    ) -> Result<ControlFlow<()>, ChatError> {
        // Never closed.
        let _permit = self.fetches.acquire().await;
        let range = self
            .store
            .range(app, conversation, after, MAX_RANGE)
            .await?;
        let Some(last) = range.messages.last() else {
            self.conversations.with(conversation, |tracker, _app| {
                tracker.fill(range.epoch, Vec::new())
            });
            return Ok(ControlFlow::Break(()));
        };
        let locals = self.locate(&range.conversation, last, range.epoch);
        let head = range.conversation.last_seq;
        if after.0 + u64::from(MAX_RANGE) < head.0 {
            // Each socket fetches what it misses, at its own pace.
            let events = self.conversations.with(conversation, |tracker, _app| {
                let events = tracker.skip(range.epoch, head);
                self.write(&locals, conversation, tracker, &events);
                events
            });
            for (_user, sockets) in &locals {
                for socket in sockets.iter() {
                    self.observe(socket, conversation, (range.epoch, head));
                }
            }
            self.write_late(
                &locals,
                conversation,
                range.epoch,
                &events.unwrap_or_default(),
            );
        } else {
            let messages = range.messages.iter();
            let terms = self.terms(app);
            let items = messages
                .map(|message| {
                    let mut item = encode(terms, &range.conversation, message);
                    item.event.way = Way::Repair;
                    item
                })
                .collect();
            let events = self.conversations.with(conversation, |tracker, _app| {
                let events = tracker.fill(range.epoch, items);
                self.write(&locals, conversation, tracker, &events);
                events
            });
            self.write_late(
                &locals,
                conversation,
                range.epoch,
                &events.unwrap_or_default(),
            );
        }
        Ok(ControlFlow::Continue(()))
    }
}
