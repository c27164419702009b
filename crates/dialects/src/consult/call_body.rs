//! The JSON of calls in REST answers.

use chat_domain::{
    ConversationId, Timestamp,
    call::{Call, CallId, Phase},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// A call as its two users see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallBody<'a> {
    id: Text<CallId>,
    conversation_id: Text<ConversationId>,
    call_type: &'static str,
    caller_id: &'a str,
    callee_id: &'a str,
    state: &'static str,
    outcome: Option<&'static str>,
    reason: Option<&'a str>,
    started_at: Text<Timestamp>,
    answered_at: Option<Text<Timestamp>>,
    ended_at: Option<Text<Timestamp>>,
    duration_seconds: Option<u64>,
}

impl<'a> From<&'a Call> for CallBody<'a> {
    fn from(call: &'a Call) -> Self {
        let (state, outcome) = match call.phase {
            Phase::Ringing => ("ringing", None),
            Phase::Connected => ("connected", None),
            Phase::Over(outcome) => ("over", Some(outcome.as_str())),
        };
        Self {
            id: Text(call.id),
            conversation_id: Text(call.conversation),
            call_type: call.kind.as_str(),
            caller_id: call.caller.user.as_str(),
            callee_id: call.callee.user.as_str(),
            state,
            outcome,
            reason: call.reason.as_deref(),
            started_at: Text(call.started_at),
            answered_at: call.answered_at.map(Text),
            ended_at: call.ended_at.map(Text),
            duration_seconds: call.duration().map(|duration| duration.as_secs()),
        }
    }
}
