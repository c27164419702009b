//! The stock client, and what it may rightly expect.

use std::collections::BTreeMap;

use chat_domain::Seq;

/// What a gateway sends, in order, over one connection.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) event: Event,
    /// The last argument.
    pub(crate) offset: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Message(usize, Seq),
    Left(usize),
    Joined(usize),
}

/// Where it is connected: the gateway, its life, and the socket there.
pub(crate) type Connection = (usize, u64, u64);

#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) connection: Option<Connection>,
    pub(crate) pid: Option<String>,
    pub(crate) offset: Option<String>,
    /// Up to where it has each conversation: read when the session began, and told since.
    pub(crate) has: BTreeMap<usize, Seq>,
    /// The conversations that it was told of in this session.
    told: BTreeMap<usize, Seq>,
    left: BTreeMap<usize, bool>,
    /// Whether everything behind `has` is promised.
    pub(crate) is_promised: bool,
}

impl Client {
    /// Takes the answer to CONNECT. In a session of its own it reads the history next.
    pub(crate) fn connected(&mut self, pid: Option<String>, history: BTreeMap<usize, Seq>) {
        let is_recovered = pid.is_some() && pid == self.pid;
        if !is_recovered {
            self.has = history;
            self.told.clear();
            self.left.clear();
        }
        self.is_promised = pid.is_some();
        self.pid = pid;
    }

    /// Takes an event, and checks that it is the one that has to come.
    pub(crate) fn hear(&mut self, sent: Sent) {
        match sent.event {
            Event::Message(conversation, seq) => self.hear_message(conversation, seq),
            Event::Left(conversation) => {
                self.left.insert(conversation, true);
            }
            Event::Joined(conversation) => {
                if self.left.insert(conversation, false) == Some(true) {
                    // What was said meanwhile is in the history.
                    self.told.remove(&conversation);
                    self.has.insert(conversation, Seq(u64::MAX));
                }
            }
        }
        if self.pid.is_some() && sent.offset.is_some() {
            self.offset = sent.offset;
        }
    }

    fn hear_message(&mut self, conversation: usize, seq: Seq) {
        assert!(!self.has_left(conversation), "told of a room that was left");
        let has = self.has.get(&conversation).copied().unwrap_or(Seq(0));
        match self.told.get(&conversation) {
            Some(told) => assert_eq!(seq, told.next(), "conversation {conversation}"),
            None if self.is_promised => {
                assert!(seq.0 <= has.0.saturating_add(1), "{seq} comes after {has}");
            }
            None => {}
        }
        self.told.insert(conversation, seq);
        let has = if has.0 == u64::MAX { Seq(0) } else { has };
        self.has.insert(conversation, has.max(seq));
    }

    pub(crate) fn has_left(&self, conversation: usize) -> bool {
        self.left.get(&conversation) == Some(&true)
    }
}
