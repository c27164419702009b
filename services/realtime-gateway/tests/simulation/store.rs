//! The store: the only authority, with what it has still to tell.

use chat_domain::{ConversationId, Seq, Timestamp};
use realtime_gateway::store::{Opened, Resumed, Stood};
use uuid::Uuid;

/// The generation of the numbers; none is lost here.
pub(crate) const EPOCH: u64 = 1;
/// Most messages that are told one by one.
pub(crate) const MAX_MISSED: u64 = 60;

#[derive(Debug, Default)]
pub(crate) struct Store {
    /// When each message of each conversation was made.
    messages: Vec<Vec<Timestamp>>,
    /// Messages whose events may not have gone out.
    pub(crate) outbox: Vec<(usize, Seq)>,
    clock: i64,
}

pub(crate) fn id(conversation: usize) -> ConversationId {
    ConversationId(Uuid::from_u128(conversation as u128 + 1))
}

pub(crate) fn index(conversation: ConversationId) -> usize {
    usize::try_from(conversation.0.as_u128() - 1).unwrap()
}

impl Store {
    pub(crate) fn n_conversations(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn begin_conversation(&mut self) {
        self.messages.push(Vec::new());
    }

    /// Stores a message; its row of the outbox is stored with it.
    pub(crate) fn append(&mut self, conversation: usize) -> Seq {
        self.clock += 1;
        self.messages[conversation].push(Timestamp(self.clock));
        let seq = self.last(conversation);
        self.outbox.push((conversation, seq));
        seq
    }

    pub(crate) fn last(&self, conversation: usize) -> Seq {
        Seq(self.messages[conversation].len() as u64)
    }

    pub(crate) fn made_at(&self, conversation: usize, seq: Seq) -> Timestamp {
        self.messages[conversation][usize::try_from(seq.0 - 1).unwrap()]
    }

    /// Returns at most `limit` places behind one.
    pub(crate) fn range(&self, conversation: usize, after: Seq, limit: u64) -> Vec<Seq> {
        let last = self.last(conversation).0;
        (after.0 + 1..=last.min(after.0 + limit)).map(Seq).collect()
    }

    pub(crate) fn open(&self) -> Opened {
        let conversations = 0..self.n_conversations();
        let heads = conversations.map(|n| (id(n), self.last(n))).collect();
        Opened {
            heads,
            changed_at: Vec::new(),
            complete: true,
            epoch: EPOCH,
        }
    }

    /// Says what was missed; `None` when that is too much.
    pub(crate) fn resume(&self, stood: &Stood) -> Option<Resumed> {
        let opened = self.open();
        let stands = opened.heads.iter().map(|(id, last)| {
            let named = stood.named.iter().find(|(named, _after)| named == id);
            let after = named.map_or(Seq(0), |(_id, after)| *after);
            (*id, after, *last)
        });
        let stands: Vec<_> = stands.collect();
        let n_missed = stands
            .iter()
            .map(|(_id, after, last)| last.0.saturating_sub(after.0))
            .sum();
        (n_missed <= MAX_MISSED).then_some(Resumed {
            opened,
            stands,
            n_missed,
            receipts: Vec::new(),
        })
    }
}
