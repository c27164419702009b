//! What a device knows of calls, and what it does about them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::rng::Rng;

/// What a device does when it is called, in percent of all calls.
#[derive(Debug, Clone, Copy)]
pub struct Answering {
    /// It accepts.
    pub accept: u64,
    /// It declines.
    pub reject: u64,
    /// As a caller, it gives up while it rings.
    pub cancel: u64,
}

/// Something to do about a call, later.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Accept,
    Reject,
    End,
}

impl Step {
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::End => "end",
        }
    }
}

/// One call as a device sees it.
#[derive(Debug, Default)]
struct View {
    peer: String,
    is_over: bool,
    wants_end: bool,
    is_signalled: bool,
    place: u64,
}

/// All calls that a device heard of.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<String, View>);

/// What to do because of something that was told.
#[derive(Debug, Default)]
pub(super) struct Reaction {
    /// Whom the call is with.
    pub(super) peer: String,
    /// What to do about the call, after how long.
    pub(super) steps: Vec<(Duration, Step)>,
    /// What to signal at once: event and payload but for who it is for.
    pub(super) signals: Vec<(&'static str, Value)>,
}

impl Calls {
    /// Takes an event about `call`; not all of them name the `peer`.
    pub(super) fn told(
        &mut self,
        event: &str,
        call: &str,
        peer: Option<&str>,
        habits: Answering,
        rng: &mut Rng,
    ) -> Reaction {
        let view = self.0.entry(call.to_owned()).or_default();
        if let Some(peer) = peer {
            peer.clone_into(&mut view.peer);
        }
        let mut reaction = Reaction {
            peer: view.peer.clone(),
            ..Reaction::default()
        };
        let mut then = |delay, step| reaction.steps.push((delay, step));
        match event {
            "call:ringing" if !view.is_signalled => {
                view.is_signalled = true;
                if rng.chance(habits.cancel) {
                    then(rng.millis(200, 2_800), Step::End);
                }
                reaction.signals = view.describe("webrtc:offer", "offer");
            }
            "call:incoming" => {
                let draw = rng.below(100);
                if draw < habits.accept {
                    then(rng.millis(0, 2_600), Step::Accept);
                } else if draw < habits.accept + habits.reject {
                    then(rng.millis(0, 2_600), Step::Reject);
                }
            }
            "call:accepted" | "call:connected" if !view.wants_end => {
                view.wants_end = true;
                then(rng.millis(300, 4_000), Step::End);
                if event == "call:connected" {
                    reaction.signals = view.describe("webrtc:answer", "answer");
                } else {
                    reaction.signals = view.candidates();
                }
            }
            "call:ended" | "call:rejected" | "call:no-answer" | "call:missed" => {
                view.is_over = true;
                view.wants_end = false;
            }
            _ => {}
        }
        reaction
    }

    /// Tells whether a step about `call` still makes sense.
    pub(super) fn is_live(&self, call: &str) -> bool {
        self.0.get(call).is_some_and(|view| !view.is_over)
    }

    /// Tells whether the device was told that it is connected in `call`.
    pub(super) fn is_in(&self, call: &str) -> bool {
        self.0
            .get(call)
            .is_some_and(|view| view.wants_end && !view.is_over)
    }

    /// Notes that the end of `call` was confirmed, or that there is nothing to end.
    pub(super) fn ended(&mut self, call: &str) {
        if let Some(view) = self.0.get_mut(call) {
            view.is_over = true;
            view.wants_end = false;
        }
    }

    /// Returns how many calls are to be ended yet.
    pub(super) fn unfinished(&self) -> usize {
        self.0.values().filter(|view| view.wants_end).count()
    }
}

impl View {
    fn describe(&mut self, event: &'static str, key: &'static str) -> Vec<(&'static str, Value)> {
        self.place += 1;
        let body = json!({"type": key, "sdp": super::device::SDP, "place": self.place});
        let mut signals = vec![(event, json!({key: body}))];
        signals.extend(self.candidates());
        signals
    }

    fn candidates(&mut self) -> Vec<(&'static str, Value)> {
        let candidates = (0..2).map(|_| {
            self.place += 1;
            let body = json!({"candidate": super::device::SDP, "place": self.place});
            ("webrtc:ice-candidate", json!({"candidate": body}))
        });
        candidates.collect()
    }
}
