//! What one device hears of calls: everything once, nothing that is out of date, and signals in
//! their order after the call is connected.
//!
//! Knows neither sockets nor time, and decides nothing about calls: whom something is for was
//! decided before it came here.

use std::collections::{BTreeMap, VecDeque};

use chat_domain::call::{CallId, Heard, Tell};
use socketio_protocol::Frame;

/// How many calls are remembered: enough to know a late repetition of an old one.
const MAX_CALLS: usize = 8;
/// How many signals of a call may wait for those before them.
const MAX_HELD: usize = 128;
/// How many bytes of signals of a call may wait: twice what the store hands over at most.
const MAX_HELD_BYTES: usize = 1 << 20;

/// The calls that a device heard of.
#[derive(Debug, Default)]
pub struct Fence {
    /// The newest last.
    calls: VecDeque<Known>,
    /// Whether the device asked for anything itself. One that did not can only be in a call that it
    /// took over from another one.
    acts: bool,
}

#[derive(Debug)]
struct Known {
    call: CallId,
    version: u32,
    /// What was told at this version, a bit each.
    told: u16,
    gate: Gate,
    /// The device believes that the call goes on, ringing or connected.
    goes_on: bool,
    /// The place of the next signal; `None` when the ones before it went to another device.
    next: Option<u64>,
    held: BTreeMap<u64, Frame>,
    n_held_bytes: usize,
    /// What is missing before those that are held is not waited for.
    is_late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// The device was not told that it is connected.
    Closed,
    /// Signals pass.
    Open,
    /// The call is over for this device.
    Over,
}

/// What becomes of signals that came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Those that pass now, in order.
    pub frames: Vec<Frame>,
    /// Whether this was the first to wait: it is released if nothing else does.
    pub waits: bool,
    /// Those for which there was no room.
    pub n_dropped: usize,
}

impl Fence {
    /// Notes that the device asked for a call itself: of that it hears from the beginning.
    pub fn expect(&mut self) {
        self.acts = true;
        for known in &mut self.calls {
            if known.gate == Gate::Closed {
                known.next.get_or_insert(1);
            }
        }
    }

    /// Notes that the device was answered that it is in a call, which it is told of, too.
    pub fn join(&mut self, call: CallId) {
        let known = self.enter(call);
        known.goes_on = known.gate != Gate::Over;
    }

    /// Notes that the device is in a call in place of another: of what it did not hear itself, it
    /// hears from here on.
    pub fn take_over(&mut self, heard: &Heard) {
        if self.calls.iter().any(|known| known.call == heard.call) {
            return;
        }
        let known = self.enter(heard.call);
        known.goes_on = true;
        known.next = None;
        if heard.is_connected {
            known.gate = Gate::Open;
        }
    }

    /// Notes that the device ended a call itself, of which it is told no more.
    pub fn leave(&mut self, call: CallId) {
        let known = self.enter(call);
        known.told |= 1 << Tell::Ended as u16;
        known.gate = Gate::Over;
        known.goes_on = false;
        let _nothing = known.pass();
    }

    /// Returns the calls that the device believes to go on.
    pub fn going_on(&self) -> impl Iterator<Item = Heard> {
        let going_on = self.calls.iter().filter(|known| known.goes_on);
        going_on.map(|known| Heard {
            call: known.call,
            version: known.version,
            is_connected: known.gate == Gate::Open,
        })
    }

    /// Takes something to tell. `None` when it is out of date or was told before; else it is to be
    /// told, and then these signals pass.
    #[must_use]
    pub fn tell(&mut self, call: CallId, version: u32, tell: Tell) -> Option<Vec<Frame>> {
        let known = self.enter(call);
        let (bit, gate) = (1 << tell as u16, gate(tell));
        let is_new = known.version < version;
        let is_next = known.version == version && known.told & bit == 0 && known.gate != Gate::Over;
        if !is_new && !is_next {
            return None;
        }
        let ends_again = gate == Gate::Over && known.has_ended();
        let rings_already = gate == Gate::Closed && known.goes_on && known.told & bit != 0;
        if is_new && (ends_again || rings_already) {
            // What was lost with its state is decided once more.
            known.version = version;
            return None;
        }
        known.told = if is_new { bit } else { known.told | bit };
        known.version = version;
        known.goes_on = gate != Gate::Over;
        // Who is in a call may still be told that it rings.
        if gate != Gate::Closed || known.gate == Gate::Over {
            known.gate = gate;
        }
        Some(known.pass())
    }

    /// Takes signals of the other side, of places from `first` on.
    #[must_use]
    pub fn signals(&mut self, call: CallId, first: u64, frames: Vec<Frame>) -> Passed {
        let takes_over = !self.acts;
        let known = self.enter(call);
        if takes_over && known.gate == Gate::Closed && !known.waits_unheard() {
            known.gate = Gate::Open;
            known.goes_on = true;
        }
        if known.gate == Gate::Over {
            return Passed::default();
        }
        let is_idle = known.held.is_empty();
        let n_dropped = (first..)
            .zip(frames)
            .filter(|(place, frame)| !known.hold(*place, frame))
            .count();
        let frames = known.pass();
        Passed {
            frames,
            waits: is_idle && !known.held.is_empty(),
            n_dropped,
        }
    }

    /// Gives up waiting: what waits passes, whatever is missing before it. A device that was told
    /// that it rings is told more, and nothing passes before that; one that heard nothing of the
    /// call is in it in place of another.
    #[must_use]
    pub fn release(&mut self, call: CallId) -> Vec<Frame> {
        let Some(known) = self.calls.iter_mut().find(|known| known.call == call) else {
            return Vec::new();
        };
        if known.gate == Gate::Closed && known.told == 0 && !known.waits_unheard() {
            known.gate = Gate::Open;
            known.goes_on = true;
        }
        known.is_late = true;
        known.pass()
    }

    /// Tells whether the device heard of a call that has come to nothing yet.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        self.calls.iter().any(|known| known.gate == Gate::Closed)
    }

    /// Tells whether the device was told that a call rings, and nothing since.
    #[must_use]
    pub fn rang(&self, call: CallId) -> bool {
        let rings = |known: &Known| known.told & (1 << Tell::Incoming as u16) != 0;
        let mut calls = self.calls.iter();
        calls.any(|known| known.call == call && known.gate == Gate::Closed && rings(known))
    }

    fn enter(&mut self, call: CallId) -> &mut Known {
        let index = self.calls.iter().position(|known| known.call == call);
        let index = index.unwrap_or_else(|| {
            if self.calls.len() == MAX_CALLS {
                self.calls.pop_front();
            }
            self.calls.push_back(Known {
                call,
                version: 0,
                told: 0,
                gate: Gate::Closed,
                goes_on: false,
                next: self.acts.then_some(1),
                held: BTreeMap::new(),
                n_held_bytes: 0,
                is_late: false,
            });
            self.calls.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or made just now")]
        &mut self.calls[index]
    }
}

impl Known {
    /// Tells whether the device knows of the call, by an answer or in place of another, and is still
    /// to be told that it is connected.
    const fn waits_unheard(&self) -> bool {
        self.goes_on && self.told == 0
    }

    /// Tells whether the last that was told is that the call is over.
    const fn has_ended(&self) -> bool {
        const ENDS: u16 = 1 << Tell::AnsweredElsewhere as u16
            | 1 << Tell::DeclinedElsewhere as u16
            | 1 << Tell::Rejected as u16
            | 1 << Tell::Busy as u16
            | 1 << Tell::NoAnswer as u16
            | 1 << Tell::Missed as u16
            | 1 << Tell::Ended as u16;
        self.told & ENDS != 0
    }

    /// Takes a signal in unless it is old. Returns false when there is no room.
    fn hold(&mut self, place: u64, frame: &Frame) -> bool {
        let is_old = self.next.is_some_and(|next| place < next);
        if is_old || self.held.contains_key(&place) {
            return true;
        }
        let n_bytes = self.n_held_bytes + frame.ws().len();
        if self.held.len() == MAX_HELD || MAX_HELD_BYTES < n_bytes {
            return false;
        }
        self.n_held_bytes = n_bytes;
        self.held.insert(place, frame.clone());
        true
    }

    /// Takes out what may pass now.
    fn pass(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        match self.gate {
            Gate::Closed => {}
            Gate::Over => {
                self.held.clear();
                self.n_held_bytes = 0;
            }
            Gate::Open => {
                while let Some(first) = self.held.first_entry()
                    && (self.is_late || self.next.is_none_or(|next| next == *first.key()))
                {
                    self.next = Some(*first.key() + 1);
                    let frame = first.remove();
                    self.n_held_bytes -= frame.ws().len();
                    frames.push(frame);
                }
                self.is_late = false;
            }
        }
        frames
    }
}

const fn gate(tell: Tell) -> Gate {
    match tell {
        Tell::Ringing | Tell::Incoming => Gate::Closed,
        Tell::Accepted | Tell::Connected => Gate::Open,
        Tell::AnsweredElsewhere
        | Tell::DeclinedElsewhere
        | Tell::Rejected
        | Tell::Busy
        | Tell::NoAnswer
        | Tell::Missed
        | Tell::Ended => Gate::Over,
    }
}

#[cfg(test)]
mod tests;
