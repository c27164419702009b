//! What is told of calls as the events that clients of this dialect hear.

use chat_domain::{
    ConversationId, UserId,
    call::{CallId, CallKind, Signal, SignalKind, Summary, Tell},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::decode_calls;
use crate::{CallCommand, ServerEvent, text::Text};

/// What the events of a call say to one of the two.
#[derive(Debug, Clone, Copy)]
pub struct CallFacts<'a> {
    /// The call.
    pub call: CallId,
    /// The other user.
    pub peer: &'a UserId,
    /// The conversation both are in.
    pub conversation: ConversationId,
    /// What is carried.
    pub kind: CallKind,
    /// Why it was declined, in the words of the callee's client.
    pub reason: Option<&'a str>,
}

/// Every key that an event about a call may have; a call that is told with less has less.
#[derive(Serialize, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    from_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    to_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<ConversationId>")]
    conversation_id: Option<Text<ConversationId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    call_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    offer: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    answer: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    candidate: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<CallId>")]
    call_id: Option<Text<CallId>>,
}

impl<'a> Body<'a> {
    fn of(user: &'a UserId) -> Self {
        Self {
            from_user_id: Some(user.as_str()),
            ..Self::default()
        }
    }

    fn for_user(user: &'a UserId) -> Self {
        Self {
            to_user_id: Some(user.as_str()),
            ..Self::default()
        }
    }
}

impl<'a> CallFacts<'a> {
    /// Says what is to be said to `user`; `None` unless it is one of the two.
    #[must_use]
    pub fn of(call: &'a Summary, user: &UserId) -> Option<Self> {
        let peer = if call.caller == *user {
            &call.callee
        } else if call.callee == *user {
            &call.caller
        } else {
            return None;
        };
        Some(Self {
            call: call.id,
            peer,
            conversation: call.conversation,
            kind: call.kind,
            reason: call.reason.as_deref(),
        })
    }

    /// Encodes something to tell, as the events of it in order.
    #[must_use]
    pub fn events(&self, tell: Tell) -> Vec<ServerEvent> {
        match tell {
            Tell::Ringing => vec![self.ringing()],
            Tell::Incoming => vec![self.event(
                "call:incoming",
                Body {
                    conversation_id: Some(Text(self.conversation)),
                    call_type: Some(self.kind.as_str()),
                    ..Body::of(self.peer)
                },
            )],
            Tell::Accepted => vec![self.stop_ringing(), self.accepted()],
            Tell::Connected => vec![call_connected(self.call)],
            Tell::AnsweredElsewhere => self.elsewhere("answered_elsewhere"),
            Tell::DeclinedElsewhere => self.elsewhere("declined_elsewhere"),
            Tell::Rejected => vec![self.rejected(self.reason.unwrap_or("Call declined"))],
            Tell::Busy => vec![self.busy()],
            Tell::NoAnswer => vec![self.event("call:no-answer", Body::for_user(self.peer))],
            Tell::Missed => vec![self.event(
                "call:missed",
                Body {
                    conversation_id: Some(Text(self.conversation)),
                    ..Body::of(self.peer)
                },
            )],
            Tell::Ended => vec![self.event("call:ended", Body::of(self.peer))],
        }
    }

    /// Encodes for the caller that the callee rings: also the answer to `call:initiate`.
    #[must_use]
    pub fn ringing(&self) -> ServerEvent {
        self.event(
            "call:ringing",
            Body {
                conversation_id: Some(Text(self.conversation)),
                call_type: Some(self.kind.as_str()),
                ..Body::for_user(self.peer)
            },
        )
    }

    /// Encodes for the caller that the callee accepted.
    #[must_use]
    pub fn accepted(&self) -> ServerEvent {
        self.event("call:accepted", Body::of(self.peer))
    }

    /// Encodes for the caller that one of the two is in another call.
    #[must_use]
    pub fn busy(&self) -> ServerEvent {
        self.rejected("Busy")
    }

    fn rejected(&self, reason: &'a str) -> ServerEvent {
        self.event(
            "call:rejected",
            Body {
                reason: Some(reason),
                ..Body::of(self.peer)
            },
        )
    }

    fn stop_ringing(&self) -> ServerEvent {
        self.event("call:stop-ringing", Body::default())
    }

    /// What silences a device and takes the call off its screen.
    fn elsewhere(&self, reason: &'a str) -> Vec<ServerEvent> {
        let ended = Body {
            reason: Some(reason),
            ..Body::of(self.peer)
        };
        vec![self.stop_ringing(), self.event("call:ended", ended)]
    }

    fn event(&self, name: &'static str, body: Body<'_>) -> ServerEvent {
        event(name, self.call, body)
    }
}

/// Encodes for the device that accepted that the call is connected: also the answer to
/// `call:accept`.
#[must_use]
pub fn call_connected(call: CallId) -> ServerEvent {
    event("call:connected", call, Body::default())
}

/// Encodes that a client's event was taken which nothing answers: that event itself, for its
/// acknowledgement.
#[must_use]
pub fn call_heard(command: &CallCommand) -> ServerEvent {
    let body = Body {
        call_id: command.call.map(Text),
        ..Body::for_user(&command.peer)
    };
    ServerEvent::new(decode_calls::name(&command.action), &body)
}

/// Encodes what the other device signals. `None` when it is no JSON, which no client can have sent.
#[must_use]
pub fn signal(call: CallId, from: &UserId, signal: &Signal) -> Option<ServerEvent> {
    let payload = Some(serde_json::from_str(signal.payload()).ok()?);
    let from = Body::of(from);
    let body = match signal.kind() {
        SignalKind::Offer => Body {
            offer: payload,
            ..from
        },
        SignalKind::Answer => Body {
            answer: payload,
            ..from
        },
        SignalKind::Candidate => Body {
            candidate: payload,
            ..from
        },
    };
    Some(event(decode_calls::signal_name(signal.kind()), call, body))
}

fn event(name: &'static str, call: CallId, body: Body<'_>) -> ServerEvent {
    ServerEvent::new(
        name,
        &Body {
            call_id: Some(Text(call)),
            ..body
        },
    )
}
