//! A call as the shared state keeps it: JSON that the functions in `functions/` read and write.

use std::time::Duration;

use chat_domain::{
    BoxError, ChatError, ConversationId, Timestamp, UserId,
    call::{Call, CallId, CallKind, Change, DeviceId, Leg, Outcome, Phase, Side, Transition},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Serialize, Deserialize)]
struct CallRecord {
    id: String,
    conversation: String,
    kind: String,
    caller: LegRecord,
    callee: LegRecord,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    version: u32,
    started_at: i64,
    rings_until: i64,
    grace: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    awaits_answer: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The last change, by the functions alone.
    #[serde(default, skip_serializing)]
    change: String,
    #[serde(default, skip_serializing)]
    detail: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LegRecord {
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard_until: Option<i64>,
    n_signals: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ringing,
    Connected,
    Over,
}

/// Writes a call in the words of the functions.
pub(super) fn write(call: &Call) -> Result<String, BoxError> {
    let (state, outcome) = match call.phase {
        Phase::Ringing => (State::Ringing, None),
        Phase::Connected => (State::Connected, None),
        Phase::Over(outcome) => (State::Over, Some(outcome.as_str().to_owned())),
    };
    let record = CallRecord {
        id: call.id.to_string(),
        conversation: call.conversation.to_string(),
        kind: call.kind.as_str().to_owned(),
        caller: LegRecord::from(&call.caller),
        callee: LegRecord::from(&call.callee),
        state,
        outcome,
        version: call.version,
        started_at: call.started_at.0,
        rings_until: call.rings_until.0,
        grace: u64::try_from(call.grace.as_millis())?,
        answered_at: call.answered_at.map(|at| at.0),
        ended_at: call.ended_at.map(|at| at.0),
        awaits_answer: call.awaits_answer,
        reason: call.reason.as_deref().map(str::to_owned),
        change: String::new(),
        detail: String::new(),
    };
    Ok(serde_json::to_string(&record)?)
}

/// Reads a call that a function returned.
pub(super) fn read(json: &str) -> Result<Call, BoxError> {
    serde_json::from_str::<CallRecord>(json)?.into_call()
}

/// Reads a call with its last change.
pub(super) fn read_last(json: &str) -> Result<Transition, BoxError> {
    let record: CallRecord = serde_json::from_str(json)?;
    let change = read_change(&record.change, &record.detail)?;
    let call = record.into_call()?;
    let at = call.ended_at.or(call.answered_at);
    Ok(Transition {
        at: at.unwrap_or(call.started_at),
        change,
        call,
    })
}

impl CallRecord {
    fn into_call(self) -> Result<Call, BoxError> {
        let record = self;
        Ok(Call {
            id: CallId(Uuid::try_parse(&record.id)?),
            conversation: ConversationId::parse(&record.conversation)?,
            kind: CallKind::parse(&record.kind)?,
            caller: record.caller.try_into()?,
            callee: record.callee.try_into()?,
            phase: match record.state {
                State::Ringing => Phase::Ringing,
                State::Connected => Phase::Connected,
                State::Over => {
                    Phase::Over(Outcome::parse(record.outcome.as_deref().unwrap_or(""))?)
                }
            },
            version: record.version,
            started_at: Timestamp(record.started_at),
            rings_until: Timestamp(record.rings_until),
            grace: Duration::from_millis(record.grace),
            answered_at: record.answered_at.map(Timestamp),
            ended_at: record.ended_at.map(Timestamp),
            awaits_answer: record.awaits_answer,
            reason: record.reason.map(Into::into),
        })
    }
}

/// Reads a change that a function logged.
pub(super) fn read_change(name: &str, detail: &str) -> Result<Change, ChatError> {
    match name {
        "ringing" => Ok(Change::Ringing),
        "busy" => Ok(Change::Busy),
        "moved" => Ok(Change::Moved(DeviceId::parse(detail)?)),
        "accepted" => Ok(Change::Accepted),
        "merged" => Ok(Change::Merged),
        "rejected" => Ok(Change::Rejected(DeviceId::parse(detail)?)),
        "cancelled" => Ok(Change::Cancelled),
        "no_answer" => Ok(Change::NoAnswer),
        "ended" if detail == Side::Caller.as_str() => Ok(Change::Ended(Side::Caller)),
        "ended" if detail == Side::Callee.as_str() => Ok(Change::Ended(Side::Callee)),
        _ => Err(ChatError::Malformed("unknown change of a call")),
    }
}

/// Returns the name and the detail of a change, as [`read_change`] takes them.
pub(super) fn write_change(change: Change) -> (&'static str, String) {
    match change {
        Change::Ringing => ("ringing", String::new()),
        Change::Busy => ("busy", String::new()),
        Change::Moved(device) => ("moved", device.to_string()),
        Change::Accepted => ("accepted", String::new()),
        Change::Merged => ("merged", String::new()),
        Change::Rejected(device) => ("rejected", device.to_string()),
        Change::Cancelled => ("cancelled", String::new()),
        Change::NoAnswer => ("no_answer", String::new()),
        Change::Ended(side) => ("ended", side.as_str().to_owned()),
    }
}

impl From<&Leg> for LegRecord {
    fn from(leg: &Leg) -> Self {
        Self {
            user: leg.user.as_str().to_owned(),
            device: leg.device.map(|device| device.to_string()),
            gone_since: leg.gone_since.map(|since| since.0),
            heard_until: leg.heard_until.map(|until| until.0),
            n_signals: leg.n_signals,
        }
    }
}

impl TryFrom<LegRecord> for Leg {
    type Error = ChatError;

    fn try_from(record: LegRecord) -> Result<Self, ChatError> {
        Ok(Self {
            user: UserId::new(&record.user)?,
            device: record.device.as_deref().map(DeviceId::parse).transpose()?,
            gone_since: record.gone_since.map(Timestamp),
            heard_until: record.heard_until.map(Timestamp),
            n_signals: record.n_signals,
        })
    }
}
