//! What a device hears, and what it writes down of it.

use serde_json::Value;
use tokio::time::Instant;

use super::{
    calling::Step,
    device::{Asked, DELAY, Device, MAX_UNREAD, Todo},
};
use crate::history::{Being, Event, Hearing, Marking, Message, Telling, Window};

impl Device {
    /// Takes a packet.
    ///
    /// # Errors
    ///
    /// Returns why the connection is of no use any more.
    pub(super) fn packet(&mut self, packet: &str) -> Result<(), String> {
        if let Some(event) = packet.strip_prefix("42/chat,") {
            let mut arguments: Vec<Value> = serde_json::from_str(event).unwrap_or_default();
            // As the stock client: with a pid, any trailing string is the offset.
            if self.pid.is_some()
                && let Some(Value::String(last)) = arguments.last()
            {
                self.offset = Some(last.clone());
            }
            arguments.reverse();
            let name = arguments.pop().unwrap_or_default();
            let data = arguments.pop().unwrap_or_default();
            self.event(name.as_str().unwrap_or_default(), data);
            return Ok(());
        }
        if let Some(answer) = packet.strip_prefix("43/chat,") {
            let (ack, answer) = answer.split_at(answer.find('[').unwrap_or(0));
            let answer: Vec<Value> = serde_json::from_str(answer).unwrap_or_default();
            let asked = ack
                .parse()
                .ok()
                .and_then(|ack: u64| self.asked.remove(&ack));
            if let (Some(asked), Some(answer)) = (asked, answer.into_iter().next()) {
                self.answered(asked, &answer);
            }
            return Ok(());
        }
        Err(format!(
            "the server said {}",
            packet.get(..60).unwrap_or(packet)
        ))
    }

    pub(super) fn event(&mut self, name: &str, mut data: Value) {
        match name {
            "new_message" => match serde_json::from_value(data["message"].take()) {
                Ok(message) => self.heard(message),
                Err(error) => self.heard(Message {
                    content: format!("no message: {error}"),
                    ..Message::default()
                }),
            },
            "resync" => {
                for talk in data["conversations"].as_array().into_iter().flatten() {
                    if let Some(id) = talk["conversationId"].as_str() {
                        *self.slices.entry(id.to_owned()).or_default() += 1;
                        self.sync(id);
                        let event = Event::Resync {
                            key: id.to_owned(),
                            args: self.link(false, String::new()),
                        };
                        self.stage.recorder.note(&self.name, event);
                    }
                }
            }
            "presence.changed" => self.presence(&data),
            _ if name.starts_with("call:") || name.starts_with("webrtc:") => self.told(name, &data),
            _ => {}
        }
    }

    pub(super) fn heard(&mut self, message: Message) {
        let id = message.conversation_id.clone();
        self.places
            .entry(id.clone())
            .or_default()
            .learn(message.seq);
        if message.sender_id != self.person.user.id && self.unread.len() < MAX_UNREAD {
            self.unread.push((id.clone(), message.id.clone()));
        }
        let args = Hearing {
            user: self.person.user.id.clone(),
            session: self.session,
            stream: self.stream,
            slice: self.slices.get(&id).copied().unwrap_or(0),
            message,
        };
        self.stage.recorder.note(&self.name, Event::Heard { args });
    }

    fn presence(&self, data: &Value) {
        let subject = data["userId"].as_str().unwrap_or_default();
        let me = &self.person.user.id;
        let mut talks = self.person.talks.iter();
        let args = Being {
            user: me.clone(),
            online: data["isOnline"].as_bool().unwrap_or_default(),
            is_final: false,
            is_contact: subject == me || talks.any(|talk| talk.peer(me) == subject),
            connected: None,
        };
        let name = self.stage.names.get(subject);
        let key = name.map_or(subject, String::as_str).to_owned();
        let event = Event::Presence { key, args };
        self.stage.recorder.note(&self.name, event);
    }

    pub(super) fn told(&mut self, name: &str, data: &Value) {
        let call = data["callId"].as_str().unwrap_or_default().to_owned();
        let signal = ["offer", "answer", "candidate"]
            .iter()
            .map(|key| &data[*key])
            .find(|signal| signal.is_object());
        let args = Telling {
            user: self.person.user.id.clone(),
            session: self.session,
            event: name.to_owned(),
            reason: data["reason"].as_str().map(str::to_owned),
            place: signal.and_then(|signal| signal["place"].as_u64()),
            meant: signal
                .and_then(|signal| signal["call"].as_str())
                .map(str::to_owned),
            by: signal
                .and_then(|signal| signal["by"].as_str())
                .unwrap_or_default()
                .to_owned(),
        };
        let key = call.clone();
        self.stage
            .recorder
            .note(&self.name, Event::Told { key, args });
        self.react(name, &call, data);
    }

    pub(super) fn react(&mut self, name: &str, call: &str, data: &Value) {
        let peer = data["fromUserId"].as_str().or(data["toUserId"].as_str());
        let habits = self.habits.answering;
        let reaction = self.calls.told(name, call, peer, habits, &mut self.rng);
        let (peer, now) = (reaction.peer, Instant::now());
        for (delay, step) in reaction.steps {
            self.todo
                .push((now + delay, Todo::Call(step, peer.clone(), call.to_owned())));
        }
        for (event, mut payload) in reaction.signals {
            payload["toUserId"] = peer.clone().into();
            payload["callId"] = call.into();
            for key in ["offer", "answer", "candidate"] {
                if payload[key].is_object() {
                    payload[key]["call"] = call.into();
                    payload[key]["by"] = self.name.clone().into();
                }
            }
            self.out.push(format!("42/chat,[\"{event}\",{payload}]"));
        }
    }

    pub(super) fn answered(&mut self, asked: Asked, answer: &Value) {
        let event = answer["event"].as_str().unwrap_or("?");
        let data = &answer["data"];
        let recorder = self.stage.recorder.clone();
        match asked {
            Asked::Send(number, _) => {
                let again = self
                    .sends
                    .answered(number, event, data, &recorder, &self.name);
                if let Some(number) = again {
                    let at = Instant::now() + self.rng.millis(200, 1_000);
                    self.todo.push((at, Todo::Send(number)));
                }
            }
            Asked::Join(t, key) => {
                if event == "joined_conversation" {
                    self.left.remove(&key);
                    self.sync(&key);
                    let args = self.link(false, String::new());
                    recorder.done(t, &self.name, Event::Joined { key, args });
                } else {
                    let at = Instant::now() + DELAY;
                    self.left.insert(key.clone());
                    self.todo.push((at, Todo::Join(key)));
                }
            }
            Asked::Leave(t, key) => {
                if event == "left_conversation" {
                    self.left.insert(key.clone());
                    let back = Instant::now() + self.rng.millis(500, 3_000);
                    self.todo.push((back, Todo::Join(key.clone())));
                    *self.slices.entry(key.clone()).or_default() += 1;
                    let args = self.link(false, String::new());
                    recorder.done(t, &self.name, Event::Left { key, args });
                }
            }
            Asked::Read(t, key, ids) => {
                let args = Marking {
                    user: self.person.user.id.clone(),
                    ids,
                };
                if event == "marked_as_read" {
                    let marked = serde_json::from_value(data["messageIds"].clone()).ok();
                    recorder.done(
                        t,
                        &self.name,
                        Event::Read {
                            key,
                            args,
                            result: marked,
                        },
                    );
                } else {
                    recorder.open(
                        t,
                        &self.name,
                        Event::Read {
                            key,
                            args,
                            result: None,
                        },
                    );
                }
            }
            Asked::Sync(t, key, since) => self.synced(t, key, since, event, data),
            Asked::Call(t, action, peer, call) => self.called(t, action, peer, &call, event, data),
        }
    }

    pub(super) fn synced(&mut self, t: u64, key: String, since: u64, event: &str, data: &Value) {
        let part = data["conversations"].as_array().and_then(|all| all.first());
        let (true, Some(part)) = (event == "sync_result", part) else {
            let at = Instant::now() + DELAY;
            self.todo.push((at, Todo::Sync(key)));
            return;
        };
        let messages: Vec<Message> =
            serde_json::from_value(part["messages"].clone()).unwrap_or_default();
        for message in &messages {
            self.places
                .entry(key.clone())
                .or_default()
                .learn(message.seq);
        }
        if part["more"].as_bool() == Some(true) {
            self.sync(&key);
        }
        let args = Window {
            user: self.person.user.id.clone(),
            after: Some(since),
            ascending: true,
            ..Window::default()
        };
        let event = Event::Synced {
            key,
            args,
            result: messages,
        };
        self.stage.recorder.done(t, &self.name, event);
    }

    pub(super) fn called(
        &mut self,
        t: u64,
        action: &'static str,
        peer: String,
        call: &str,
        event: &str,
        data: &Value,
    ) {
        let code = data["code"].as_str().filter(|_| event == "error");
        let named = data["callId"].as_str().unwrap_or(call).to_owned();
        if action == "end" {
            if code == Some("unavailable") {
                let at = Instant::now() + DELAY;
                self.todo
                    .push((at, Todo::Call(Step::End, peer.clone(), call.to_owned())));
            } else {
                self.calls.ended(call);
            }
        }
        if action == "initiate" {
            // Nothing else may tell.
            self.react(event, &named, data);
        }
        let args = self.asking(action, peer);
        let key = Some(named).filter(|id| !id.is_empty());
        let result = Some(code.unwrap_or(event).to_owned());
        self.stage
            .recorder
            .done(t, &self.name, Event::Asked { key, args, result });
    }
}
