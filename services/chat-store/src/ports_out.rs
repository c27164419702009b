//! What other services are told, and the queues it waits in.
//!
//! Events name ids, and what a push notification shows; never content. Their JSON is frozen by
//! snapshots and described in `docs/EVENTS.md`.

use std::time::Duration;

use chat_domain::{
    AppId, Conversation, ConversationId, Message, PresenceChange, Subject, Timestamp, UserId,
    call::{Call, Outcome},
};
use serde::Serialize;

use crate::ports::{Answer, Range, Received};

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

/// Takes events for other services, for certain.
pub trait OutStream: Send + Sync {
    /// Publishes events: all of them are there then, or nobody knows after the time `within`. What
    /// comes again is there once.
    fn publish<'a>(&'a self, events: &'a [OutEvent], within: Duration) -> Answer<'a, ()>;

    /// Tells whether it took what it was given last.
    fn is_ready(&self) -> bool;
}

/// A row of the queue beside the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutId(pub i64);

/// Something that other services are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub enum OutFact {
    /// Messages were stored.
    Appended(Vec<Range>),
    /// A user read messages.
    Read {
        app: AppId,
        conversation: ConversationId,
        reader: UserId,
        received: Received,
    },
    /// A conversation was made.
    Opened {
        app: AppId,
        conversation: ConversationId,
    },
}

/// Something that waits to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct OutDue {
    pub id: OutId,
    pub fact: OutFact,
}

/// What was committed and other services are to be told.
pub trait OutQueue: Send + Sync {
    /// Takes what waits, the oldest first. Whoever takes something has some seconds for it; then
    /// others may take it too.
    fn claim_out(&self, limit: u32) -> Answer<'_, Vec<OutDue>>;

    /// Removes what was told.
    fn remove_out<'a>(&'a self, ids: &'a [OutId]) -> Answer<'a, ()>;

    /// Gives up what waited for longer than `max_age`, and what is too much; returns how much.
    fn prune_out(&self, max_age: Duration) -> Answer<'_, u64>;
}

/// New messages for somebody who has no device.
#[derive(Debug, Clone, Copy)]
pub struct NewMessages<'a> {
    /// For whom.
    pub user: &'a UserId,
    /// The newest.
    pub newest: &'a Message,
    /// Who sent that; unknown, or nobody for a system message.
    pub sender_name: Option<&'a str>,
    /// How many there are.
    pub n_messages: usize,
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

    /// Says that messages of one transaction were stored; `None` if there are none.
    #[must_use]
    pub fn message_created(app: &AppId, messages: &[(&Conversation, &Message)]) -> Option<Self> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Stored<'a> {
            message_id: String,
            conversation_id: String,
            seq: u64,
            sender_id: &'a str,
            sender_role: &'static str,
            message_type: &'static str,
            created_at: String,
        }

        #[derive(Serialize)]
        struct Data<'a> {
            messages: Vec<Stored<'a>>,
        }

        let (_, first) = messages.first()?;
        let stored = messages.iter().map(|(_, message)| Stored {
            message_id: message.id.to_string(),
            conversation_id: message.conversation.to_string(),
            seq: message.seq.0,
            sender_id: message.sender.as_str(),
            sender_role: message.sender_role.as_str(),
            message_type: message.content.kind().as_str(),
            created_at: message.created_at.to_string(),
        });
        let data = Data {
            messages: stored.collect(),
        };
        let id = format!("{app}:message.created:{}", first.id);
        Some(Self::new(
            app,
            "message.created",
            id,
            first.created_at,
            &data,
        ))
    }

    /// Says that a user read messages; `None` if there are none.
    #[must_use]
    pub fn message_read(
        app: &AppId,
        conversation: ConversationId,
        reader: &UserId,
        received: &Received,
    ) -> Option<Self> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            user_id: &'a str,
            conversation_id: String,
            message_ids: Vec<String>,
            read_at: String,
        }

        let first = received.ids.first()?;
        let data = Data {
            user_id: reader.as_str(),
            conversation_id: conversation.to_string(),
            message_ids: received.ids.iter().map(ToString::to_string).collect(),
            read_at: received.at.to_string(),
        };
        let id = format!("{app}:message.read:{reader}:{first}");
        Some(Self::new(app, "message.read", id, received.at, &data))
    }

    /// Says that a conversation was made.
    #[must_use]
    pub fn conversation_created(conversation: &Conversation) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Side<'a> {
            user_id: &'a str,
            role: &'static str,
        }

        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            conversation_id: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            booking_id: Option<&'a str>,
            participants: Vec<Side<'a>>,
        }

        let sides = conversation.participants.iter().map(|side| Side {
            user_id: side.user.as_str(),
            role: side.role.as_str(),
        });
        let data = Data {
            conversation_id: conversation.id.to_string(),
            booking_id: match &conversation.subject {
                Subject::Booking(id) => Some(id.as_str()),
                Subject::Pair => None,
            },
            participants: sides.collect(),
        };
        let app = &conversation.app;
        let id = format!("{app}:conversation.created:{}", conversation.id);
        Self::new(
            app,
            "conversation.created",
            id,
            conversation.created_at,
            &data,
        )
    }

    /// Asks for a push notification: somebody who has no device got messages.
    #[must_use]
    pub fn push_message(app: &AppId, messages: &NewMessages<'_>) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            user_id: &'a str,
            conversation_id: String,
            message_id: String,
            seq: u64,
            message_type: &'static str,
            count: usize,
            sender_id: &'a str,
            sender_name: Option<&'a str>,
        }

        let NewMessages {
            user,
            newest,
            sender_name,
            n_messages,
        } = *messages;
        let data = Data {
            user_id: user.as_str(),
            conversation_id: newest.conversation.to_string(),
            message_id: newest.id.to_string(),
            seq: newest.seq.0,
            message_type: newest.content.kind().as_str(),
            count: n_messages,
            sender_id: newest.sender.as_str(),
            sender_name,
        };
        let id = format!("{app}:push.message:{user}:{}", newest.id);
        Self::new(app, "push.message", id, newest.created_at, &data)
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
