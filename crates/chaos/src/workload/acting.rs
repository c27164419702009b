//! What a device does: by its habits, when it is told to, and when something is due.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

use super::{
    Phase,
    calling::Step,
    device::{ANSWER, Asked, Device, Order, Todo},
    place::Place,
};
use crate::people::Talk;

impl Device {
    pub(super) fn settle(&mut self) {
        self.stalled_until = None;
        let now = Instant::now();
        for id in self.left.clone() {
            self.todo.push((now, Todo::Join(id)));
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Call => self.initiate(0),
            Order::Flap(times) => self.flaps = times,
            Order::Stall(time) => self.stall(time),
            Order::HangUp => self.hang_up(),
            Order::MoveTo(gateway) => (self.next_at, self.flaps) = (Some(gateway), 1),
        }
    }

    pub(super) fn stall(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.stalled_until = Some(until);
        self.todo.push((until, Todo::Listen));
    }

    /// Does what is due.
    pub(super) fn due(&mut self) {
        let now = Instant::now();
        let todo = std::mem::take(&mut self.todo);
        let (due, later) = todo.into_iter().partition(|(at, _)| *at <= now);
        self.todo = later;
        let due: Vec<(Instant, Todo)> = due;
        for (_, todo) in due {
            match todo {
                Todo::Act => {
                    let is_busy = *self.stage.phase.borrow() == Phase::Busy;
                    if is_busy && 0 < self.habits.pause_ms {
                        self.act();
                        let act = now + self.pause();
                        self.todo.push((act, Todo::Act));
                    }
                }
                Todo::Look => {
                    self.forget_late_answers();
                    self.todo.push((now + ANSWER, Todo::Look));
                }
                Todo::Send(number) => self.send(number),
                Todo::Join(id) if self.left.contains(&id) => self.join(&id),
                Todo::Join(_) => {}
                Todo::Sync(id) => self.sync(&id),
                Todo::Call(step, peer, call) => self.step(step, peer, call),
                Todo::Listen => self.stalled_until = None,
            }
        }
    }

    /// Sends again what a living connection left unanswered.
    pub(super) fn forget_late_answers(&mut self) {
        let late = |asked: &Asked| matches!(asked, Asked::Send(_, at) if ANSWER < at.elapsed());
        let acks: Vec<_> = self
            .asked
            .iter()
            .filter(|(_, asked)| late(asked))
            .map(|(ack, _)| *ack)
            .collect();
        for ack in acks {
            if let Some(Asked::Send(number, _)) = self.asked.remove(&ack) {
                self.sends.unanswered(number);
                self.send(number);
            }
        }
    }

    /// Does something by itself.
    pub(super) fn act(&mut self) {
        let talks = self.person.talks.clone();
        let Some(talk) = self.rng.pick(&talks).cloned() else {
            return;
        };
        let draw = self.rng.below(100);
        match draw {
            _ if draw < self.habits.calls => {
                let which = usize::from(1 < talks.len() && self.rng.chance(30));
                self.initiate(which);
            }
            _ if draw < 60 => self.say(&talk, 1),
            _ if draw < 65 => {
                let count = self.rng.below(8) + 2;
                self.say(&talk, count);
            }
            _ if draw < 90 => self.read(&talk.id),
            _ if draw < 94 => self.leave(&talk.id),
            _ if draw < 96 && self.habits.is_slow => {
                let time = self.rng.millis(500, 4_000);
                self.stall(time);
            }
            _ if draw < 97 => self.flaps = 1,
            _ => self.typing(&talk.id),
        }
    }

    pub(super) fn say(&mut self, talk: &Talk, count: u64) {
        for _ in 0..count {
            let now = self.stage.recorder.now();
            let number = self
                .sends
                .say(now, &talk.id, &talk.canary, &self.person.user.id);
            self.send(number);
        }
    }

    pub(super) fn send(&mut self, number: u64) {
        let ack = self.acks + 1;
        let role = self.person.user.role;
        if let Some(payload) = self.sends.payload(number, role, self.session, ack) {
            self.ask(
                "send_message",
                &payload,
                Asked::Send(number, Instant::now()),
            );
        }
    }

    pub(super) fn ask(&mut self, event: &str, payload: &Value, asked: Asked) {
        self.acks += 1;
        self.out
            .push(format!("42/chat,{}[\"{event}\",{payload}]", self.acks));
        self.asked.insert(self.acks, asked);
    }

    pub(super) fn join(&mut self, id: &str) {
        let payload = json!({
            "conversationId": id,
            "userId": self.person.user.id,
            "userType": self.person.user.role,
        });
        let asked = Asked::Join(self.stage.recorder.now(), id.to_owned());
        self.ask("join_conversation", &payload, asked);
    }

    pub(super) fn leave(&mut self, id: &str) {
        if self.left.contains(id) {
            return;
        }
        let asked = Asked::Leave(self.stage.recorder.now(), id.to_owned());
        self.ask("leave_conversation", &json!({"conversationId": id}), asked);
    }

    pub(super) fn sync(&mut self, id: &str) {
        let known = self.places.get(id).map_or(0, Place::whole_until);
        let asked = Asked::Sync(self.stage.recorder.now(), id.to_owned(), known);
        self.ask("sync", &json!({"since": {id: known}}), asked);
    }

    pub(super) fn read(&mut self, id: &str) {
        let (mut ids, mut others) = (Vec::new(), Vec::new());
        for (talk, message) in std::mem::take(&mut self.unread) {
            if talk == id && ids.len() < 6 {
                ids.push(message);
            } else {
                others.push((talk, message));
            }
        }
        self.unread = others;
        if !ids.is_empty() {
            let payload = json!({"conversationId": id, "messageIds": ids});
            let asked = Asked::Read(self.stage.recorder.now(), id.to_owned(), ids);
            self.ask("mark_read", &payload, asked);
        }
    }

    pub(super) fn typing(&mut self, id: &str) {
        self.out.push(format!(
            "42/chat,[\"typing_start\",{{\"conversationId\":\"{id}\"}}]"
        ));
    }

    pub(super) fn initiate(&mut self, which: usize) {
        let Some(talk) = self.person.talks.get(which).cloned() else {
            return;
        };
        let peer = talk.peer(&self.person.user.id).to_owned();
        let payload = json!({"toUserId": peer, "conversationId": talk.id, "callType": "audio"});
        let asked = Asked::Call(self.stage.recorder.now(), "initiate", peer, String::new());
        self.ask("call:initiate", &payload, asked);
    }

    pub(super) fn step(&mut self, step: Step, peer: String, call: String) {
        if self.calls.is_live(&call) {
            let mut payload = json!({"toUserId": peer, "callId": call});
            // Some clients do not say which call it is that they are in.
            if matches!(step, Step::End) && self.calls.is_in(&call) && self.rng.chance(40) {
                payload = json!({"toUserId": peer});
            }
            let action = step.action();
            let asked = Asked::Call(self.stage.recorder.now(), action, peer, call);
            self.ask(&format!("call:{action}"), &payload, asked);
        }
    }

    pub(super) fn hang_up(&mut self) {
        for talk in self.person.talks.clone() {
            let peer = talk.peer(&self.person.user.id).to_owned();
            let payload = json!({"toUserId": peer});
            let asked = Asked::Call(self.stage.recorder.now(), "hang_up", peer, String::new());
            self.ask("call:end", &payload, asked);
        }
    }
}
