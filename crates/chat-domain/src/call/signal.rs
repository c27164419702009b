//! What two devices tell each other to set up media, and where it waits until it may pass.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use super::{CallId, DeviceId};
use crate::{ChatError, Timestamp, UserId};

/// What a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of WebRTC")]
pub enum SignalKind {
    Offer,
    Answer,
    Candidate,
}

/// A signal, opaque to the system. It holds addresses of its sender: never log it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signal {
    kind: SignalKind,
    payload: Arc<str>,
}

impl Signal {
    /// The largest offer or answer, in bytes.
    pub const MAX_DESCRIPTION: usize = 64 * 1024;
    /// The largest candidate, in bytes.
    pub const MAX_CANDIDATE: usize = 4 * 1024;

    /// Checks and wraps what a client sent.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] past the limit of its kind.
    pub fn new(kind: SignalKind, payload: &str) -> Result<Self, ChatError> {
        let (limit, name) = match kind {
            SignalKind::Offer => (Self::MAX_DESCRIPTION, "the offer"),
            SignalKind::Answer => (Self::MAX_DESCRIPTION, "the answer"),
            SignalKind::Candidate => (Self::MAX_CANDIDATE, "the candidate"),
        };
        if payload.len() > limit {
            return Err(ChatError::TooLarge(name));
        }
        Ok(Self {
            kind,
            payload: payload.into(),
        })
    }

    /// Returns what it is.
    #[must_use]
    pub const fn kind(&self) -> SignalKind {
        self.kind
    }

    /// Returns what the client sent.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.payload
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What becomes of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// It may pass at once, to this device alone.
    Relay {
        /// The call it belongs to.
        call: CallId,
        /// Where it goes.
        to: (UserId, DeviceId),
        /// Its place among the signals of this side, from 1 without gaps.
        place: u64,
    },
    /// It waits.
    Parked,
    /// Nobody may hear it.
    Dropped,
}

/// Signals that waited and may pass: their receiver, and their places from `first` on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Handed {
    pub call: CallId,
    pub from: UserId,
    pub to: (UserId, DeviceId),
    pub first: u64,
    pub signals: Vec<Signal>,
}

/// What one device wants to tell one user, as soon as it may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parked {
    pub(super) to: UserId,
    pub(super) since: Timestamp,
    offer: Option<Signal>,
    answer: Option<Signal>,
    queue: VecDeque<Signal>,
}

impl Parked {
    /// How many signals beside an offer and an answer wait at most.
    pub const MAX_QUEUE: usize = 64;
    /// How long signals wait for a call that they are meant for.
    pub const EARLY: Duration = Duration::from_secs(30);

    pub(super) const fn new(to: UserId, since: Timestamp) -> Self {
        Self {
            to,
            since,
            offer: None,
            answer: None,
            queue: VecDeque::new(),
        }
    }

    /// Adds a signal while nobody may hear any: a later offer or answer takes the place of the one
    /// before.
    pub(super) fn park(&mut self, signal: Signal) -> Result<(), ChatError> {
        match signal.kind {
            SignalKind::Offer => self.offer = Some(signal),
            SignalKind::Answer => self.answer = Some(signal),
            SignalKind::Candidate => return self.queue(signal),
        }
        Ok(())
    }

    /// Adds a signal while those before it are being passed on.
    pub(super) fn queue(&mut self, signal: Signal) -> Result<(), ChatError> {
        if self.queue.len() == Self::MAX_QUEUE {
            return Err(ChatError::TooLarge("the list of signals"));
        }
        self.queue.push_back(signal);
        Ok(())
    }

    pub(super) const fn has_offer(&self) -> bool {
        self.offer.is_some()
    }

    /// Returns the signals in the order in which they pass: descriptions first.
    pub(super) fn signals(&self) -> Vec<Signal> {
        let descriptions = self.offer.iter().chain(&self.answer);
        descriptions.chain(&self.queue).cloned().collect()
    }

    /// Removes the first of [`Self::signals`].
    pub(super) fn drop_first(&mut self, count: usize) {
        for _ in 0..count {
            if self.offer.take().is_none() && self.answer.take().is_none() {
                self.queue.pop_front();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.offer.is_none() && self.answer.is_none() && self.queue.is_empty()
    }
}
