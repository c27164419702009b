//! What other services are told, and the queue it waits in.
//!
//! Events name ids, and what a push notification shows; never content. Their JSON is frozen by
//! snapshots and described in `docs/EVENTS.md`.

use chat_domain::{
    AppId, PresenceChange, Timestamp, UserId,
    call::{Call, Outcome},
};
use serde::Serialize;

use crate::ports::Answer;

/// An event for other services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutEvent {
    /// The app it happened in.
    pub app: AppId,
    /// Its name, which ends its subject: `call.ringing`.
    pub name: String,
    /// The same whenever it comes again, and no other event's.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// All of it, as other services read it.
    pub json: String,
}

/// Keeps events until they are published.
pub trait Outgoing: Send + Sync {
    /// Adds events.
    fn put<'a>(&'a self, events: &'a [OutEvent]) -> Answer<'a, ()>;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallData<'a> {
    call_id: String,
    conversation_id: String,
    call_type: &'static str,
    caller_id: &'a str,
    callee_id: &'a str,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rings_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
}

impl<'a> CallData<'a> {
    fn new(call: &'a Call) -> Self {
        Self {
            call_id: call.id.to_string(),
            conversation_id: call.conversation.to_string(),
            call_type: call.kind.as_str(),
            caller_id: call.caller.user.as_str(),
            callee_id: call.callee.user.as_str(),
            started_at: call.started_at.to_string(),
            rings_until: None,
            answered_at: None,
            ended_at: None,
            duration_seconds: None,
        }
    }
}

impl OutEvent {
    /// Says that a call rings.
    #[must_use]
    pub fn call_ringing(app: &AppId, call: &Call) -> Self {
        let data = CallData {
            rings_until: Some(call.rings_until.to_string()),
            ..CallData::new(call)
        };
        let id = format!("{app}:call.ringing:{}", call.id);
        Self::new(app, "call.ringing", id, call.started_at, &data)
    }

    /// Says how a call ended.
    #[must_use]
    pub fn call_over(app: &AppId, call: &Call, outcome: Outcome) -> Self {
        let data = CallData {
            answered_at: call.answered_at.map(|at| at.to_string()),
            ended_at: call.ended_at.map(|at| at.to_string()),
            duration_seconds: call.duration().map(|duration| duration.as_secs()),
            ..CallData::new(call)
        };
        let name = format!("call.{}", outcome.as_str());
        let id = format!("{app}:{name}:{}", call.id);
        let at = call.ended_at.unwrap_or(call.started_at);
        Self::new(app, &name, id, at, &data)
    }

    /// Says that a user came, went or changed its status.
    #[must_use]
    pub fn presence_changed(app: &AppId, user: &UserId, change: &PresenceChange) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            user_id: &'a str,
            is_online: bool,
            status: &'static str,
        }

        let data = Data {
            user_id: user.as_str(),
            is_online: change.now.is_online(),
            status: change.now.as_str(),
        };
        let id = format!("{app}:presence.changed:{user}:{}", change.at.0);
        Self::new(app, "presence.changed", id, change.at, &data)
    }

    /// Asks for a push notification: a call rings at somebody who has no device online.
    #[must_use]
    pub fn push_call(app: &AppId, call: &Call, caller_name: Option<&str>) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            user_id: &'a str,
            call_id: String,
            conversation_id: String,
            call_type: &'static str,
            caller_id: &'a str,
            caller_name: Option<&'a str>,
            rings_until: String,
        }

        let data = Data {
            user_id: call.callee.user.as_str(),
            call_id: call.id.to_string(),
            conversation_id: call.conversation.to_string(),
            call_type: call.kind.as_str(),
            caller_id: call.caller.user.as_str(),
            caller_name,
            rings_until: call.rings_until.to_string(),
        };
        let id = format!("{app}:push.call:{}", call.id);
        Self::new(app, "push.call", id, call.started_at, &data)
    }

    /// Takes such a push notification back: the call ended before it was answered.
    #[must_use]
    pub fn push_call_cancelled(app: &AppId, call: &Call, outcome: Outcome) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            user_id: &'a str,
            call_id: String,
            conversation_id: String,
            outcome: &'static str,
        }

        let data = Data {
            user_id: call.callee.user.as_str(),
            call_id: call.id.to_string(),
            conversation_id: call.conversation.to_string(),
            outcome: outcome.as_str(),
        };
        let id = format!("{app}:push.call_cancelled:{}", call.id);
        let at = call.ended_at.unwrap_or(call.started_at);
        Self::new(app, "push.call_cancelled", id, at, &data)
    }

    fn new(app: &AppId, name: &str, id: String, at: Timestamp, data: &impl Serialize) -> Self {
        #[derive(Serialize)]
        struct Body<'a, D> {
            id: &'a str,
            event: &'a str,
            app: &'a str,
            at: String,
            data: D,
        }

        let body = Body {
            id: &id,
            event: name,
            app: app.as_str(),
            at: at.to_string(),
            data,
        };
        // Only maps with keys that are no strings fail, and there are none.
        let json = serde_json::to_string(&body).unwrap_or_default();
        Self {
            app: app.clone(),
            name: name.to_owned(),
            json,
            id,
            at,
        }
    }
}
