//! What the two hear of a call.

use std::{sync::Arc, time::Duration};

use super::{Call, CallId, CallKind, Outcome, Phase};
use crate::{ConversationId, Timestamp, UserId};

/// A call without its devices, deadlines and counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: CallId,
    /// The conversation both take part in.
    pub conversation: ConversationId,
    /// What is carried.
    pub kind: CallKind,
    /// Who rang first.
    pub caller: UserId,
    /// Who was rung.
    pub callee: UserId,
    /// Grows with every change.
    pub version: u32,
    /// When it began to ring.
    pub started_at: Timestamp,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// Why it was declined, in the words of the callee's client.
    pub reason: Option<Arc<str>>,
    /// How long the two were connected, once it is over.
    pub duration: Option<Duration>,
}

impl From<&Call> for Summary {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id,
            conversation: call.conversation,
            kind: call.kind,
            caller: call.caller.user.clone(),
            callee: call.callee.user.clone(),
            version: call.version,
            started_at: call.started_at,
            outcome: match call.phase {
                Phase::Ringing | Phase::Connected => None,
                Phase::Over(outcome) => Some(outcome),
            },
            reason: call.reason.clone(),
            duration: call.duration(),
        }
    }
}
