//! Messages on their way: each is sent under the same key until it is confirmed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    history::{Event, Message, Outcome, Sending},
    recorder::Recorder,
};

/// A message that is not confirmed yet.
#[derive(Debug)]
struct Pending {
    key: String,
    t_invoke: u64,
    args: Sending,
    /// The acknowledgement that is waited for.
    ack: Option<u64>,
}

/// All messages of a device that are not confirmed yet, in the order in which they were said.
#[derive(Debug, Default)]
pub(super) struct Sends {
    pending: BTreeMap<u64, Pending>,
    next: u64,
}

impl Sends {
    /// Says something new and returns its number.
    pub(super) fn say(&mut self, t_invoke: u64, talk: &str, canary: &str, sender: &str) -> u64 {
        self.next += 1;
        let args = Sending {
            conversation: talk.to_owned(),
            sender: sender.to_owned(),
            content: format!("{canary} {}", Uuid::new_v4().simple()),
            session: None,
            attempts: 0,
            order: self.next,
        };
        let pending = Pending {
            key: Uuid::new_v4().to_string(),
            t_invoke,
            args,
            ack: None,
        };
        self.pending.insert(self.next, pending);
        self.next
    }

    /// Returns the numbers of all that wait for no answer.
    pub(super) fn idle(&self) -> Vec<u64> {
        let idle = self.pending.iter().filter(|(_, send)| send.ack.is_none());
        idle.map(|(number, _)| *number).collect()
    }

    /// Returns the payload of message `number` for the wire; it is sent over `session` now, and
    /// answered with `ack`.
    pub(super) fn payload(
        &mut self,
        number: u64,
        role: &str,
        session: u64,
        ack: u64,
    ) -> Option<Value> {
        let send = self
            .pending
            .get_mut(&number)
            .filter(|send| send.ack.is_none())?;
        send.ack = Some(ack);
        send.args.attempts += 1;
        send.args.session = Some(session);
        Some(json!({
            "conversationId": send.args.conversation,
            "content": send.args.content,
            "senderType": role,
            "clientMessageId": send.key,
        }))
    }

    /// Takes the answer to `ack`. Returns the message's number when it has to be sent again.
    pub(super) fn answered(
        &mut self,
        number: u64,
        event: &str,
        data: &Value,
        recorder: &Recorder,
        proc: &str,
    ) -> Option<u64> {
        let send = self.pending.get_mut(&number)?;
        send.ack = None;
        let code = data["code"].as_str().unwrap_or("?");
        let result = if event == "message_sent" {
            let message: Result<Message, _> = serde_json::from_value(data["message"].clone());
            message.map_or_else(
                |error| Outcome::Refused(format!("no message: {error}")),
                Outcome::Stored,
            )
        } else if matches!(code, "unavailable" | "rate_limited") {
            return Some(number);
        } else {
            Outcome::Refused(code.to_owned())
        };
        let send = self.pending.remove(&number)?;
        let event = Event::Send {
            key: send.key,
            args: send.args,
            result: Some(result),
        };
        recorder.done(send.t_invoke, proc, event);
        None
    }

    /// Notes that no answer came to a message for too long.
    pub(super) fn unanswered(&mut self, number: u64) {
        if let Some(send) = self.pending.get_mut(&number) {
            send.ack = None;
        }
    }

    /// Notes that no answer comes any more over the connection that is gone.
    pub(super) fn disconnected(&mut self) {
        for send in self.pending.values_mut() {
            send.ack = None;
        }
    }

    /// Returns how many are not confirmed.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Writes down what was never confirmed.
    pub(super) fn give_up(&mut self, recorder: &Recorder, proc: &str) {
        for send in std::mem::take(&mut self.pending).into_values() {
            let event = Event::Send {
                key: send.key,
                args: send.args,
                result: None,
            };
            recorder.open(send.t_invoke, proc, event);
        }
    }
}
