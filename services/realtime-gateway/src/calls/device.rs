//! What the gateway remembers of one socket as a device in calls.

use std::time::Duration;

use chat_domain::call::Heard;

use super::{Fence, check::Pace};

/// For how long a device is new: as long as it takes to find out that one before it is dead.
const NEW: Duration = Duration::from_mins(1);

/// A device: what it heard, and whether the stores know that it is here.
///
/// That it is gone is announced when no announcement of its coming is under way, so that the later
/// one is the last one heard.
#[derive(Debug, Default)]
pub struct Device {
    /// Made when it is needed: most devices hear of no call.
    calls: Option<Box<CallsHere>>,
    /// When it came, in milliseconds since any fixed moment.
    came_ms: u64,
    /// What it asked of calls so far.
    n_asked: u32,
    n_looks: u8,
    has_left: bool,
    /// A request of this device may take effect later than it was given up.
    is_unsure: bool,
    /// The stores know of it.
    is_known: bool,
}

#[derive(Debug, Default)]
struct CallsHere {
    fence: Fence,
    /// When the device asks what became of them, in the milliseconds of `came_ms`.
    check_at_ms: Option<u64>,
}

/// How a device is announced as gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// Once will do.
    Once,
    /// Again later: something may take effect only after the first.
    Twice,
}

impl Device {
    /// Returns what it hears.
    pub fn fence(&mut self) -> &mut Fence {
        &mut self.calls.get_or_insert_default().fence
    }

    /// Tells whether a call rings here, or is being made from here.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        let calls = self.calls.as_ref();
        calls.is_some_and(|calls| calls.fence.is_ringing())
    }

    /// Plans when the device asks what became of the calls that go on here. Returns how long that is
    /// from now; `None` when there are none, or it asks before that anyway.
    #[must_use]
    pub fn plan_check(&mut self, now_ms: u64) -> Option<Pace> {
        let calls = self.calls.as_mut()?;
        let pace = Pace::of(calls.fence.going_on())?;
        let at_ms = now_ms + pace.millis();
        // What was planned for a time that is over found no room to wait.
        let is_planned = |planned| (now_ms..=at_ms).contains(&planned);
        if calls.check_at_ms.is_some_and(is_planned) {
            return None;
        }
        calls.check_at_ms = Some(at_ms);
        Some(pace)
    }

    /// Returns the calls that the device asks about now, if that was planned.
    #[must_use]
    pub fn begin_check(&mut self, now_ms: u64) -> Vec<Heard> {
        let Some(calls) = self.calls.as_mut() else {
            return Vec::new();
        };
        let planned = calls.check_at_ms.take_if(|at_ms| *at_ms <= now_ms);
        planned.map_or_else(Vec::new, |_| calls.fence.going_on().collect())
    }

    /// Notes that the device came at `now_ms`.
    pub const fn come(&mut self, now_ms: u64) {
        self.came_ms = now_ms;
    }

    /// Returns how long it has been here.
    #[must_use]
    pub const fn age(&self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.came_ms))
    }

    /// Tells whether it came so lately that it may be what became of a device that is gone.
    #[must_use]
    pub fn is_new(&self, now_ms: u64) -> bool {
        self.age(now_ms) < NEW
    }

    /// Numbers a request, which may be repeated under that number.
    #[must_use]
    pub const fn ask(&mut self) -> u64 {
        self.n_asked = self.n_asked.saturating_add(1);
        self.n_asked as u64
    }

    /// Begins to announce the device. Returns false when it left: there is nothing to announce.
    #[must_use]
    pub fn begin_look(&mut self) -> bool {
        self.n_looks += u8::from(!self.has_left);
        !self.has_left
    }

    /// Ends that. Returns how to announce that the device is gone if it left meanwhile.
    #[must_use]
    pub fn end_look(&mut self) -> Option<Farewell> {
        self.n_looks = self.n_looks.saturating_sub(1);
        self.farewell()
    }

    /// Notes that the socket is gone. Returns how to announce that if it is to be done at once.
    #[must_use]
    pub fn leave(&mut self) -> Option<Farewell> {
        self.has_left = true;
        self.farewell()
    }

    /// Notes that the stores know of the device.
    pub const fn make_known(&mut self) {
        self.is_known = true;
    }

    /// Tells whether the stores know of it, or did before they lost it.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// Notes that the outcome of a request of this device is unknown.
    pub const fn doubt(&mut self) {
        self.is_unsure = true;
    }

    fn farewell(&self) -> Option<Farewell> {
        let is_due = self.has_left && self.n_looks == 0;
        is_due.then_some(if self.is_unsure {
            Farewell::Twice
        } else {
            Farewell::Once
        })
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::call::{CallId, Tell};

    use super::*;

    #[test]
    fn a_device_that_leaves_is_gone_at_once() {
        let mut device = Device::default();
        assert!(device.begin_look());
        assert_eq!(device.end_look(), None);

        assert_eq!(device.leave(), Some(Farewell::Once));
        assert!(!device.begin_look());
    }

    #[test]
    fn it_is_not_gone_before_it_came() {
        let mut device = Device::default();
        assert!(device.begin_look());
        assert!(device.begin_look());

        assert_eq!(device.leave(), None);
        assert_eq!(device.end_look(), None);
        assert_eq!(device.end_look(), Some(Farewell::Once));
    }

    #[test]
    fn it_is_new_for_a_while() {
        let mut device = Device::default();
        device.come(100);

        assert!(device.is_new(100));
        assert!(device.is_new(60_099));
        assert!(!device.is_new(60_100));
    }

    #[test]
    fn what_it_asks_is_numbered_from_one() {
        let mut device = Device::default();

        assert_eq!([device.ask(), device.ask()], [1, 2]);
    }

    #[test]
    fn it_asks_as_long_as_a_call_goes_on() {
        const CALL: CallId = CallId(uuid::Uuid::nil());
        let mut device = Device::default();
        assert_eq!(device.plan_check(0), None);
        let _signals = device.fence().tell(CALL, 1, Tell::Incoming);

        assert_eq!(device.plan_check(0), Some(Pace::Ringing));
        assert_eq!(device.plan_check(1), None, "it was planned");
        assert_eq!(device.begin_check(4_999), []);
        assert_eq!(device.begin_check(5_000).len(), 1);
        assert_eq!(device.begin_check(5_000), [], "it is under way");

        let _signals = device.fence().tell(CALL, 2, Tell::Connected);
        assert_eq!(device.plan_check(5_000), Some(Pace::Connected));
        assert_eq!(device.begin_check(24_999), []);
        let other = CallId(uuid::Uuid::max());
        let _signals = device.fence().tell(other, 1, Tell::Incoming);
        assert_eq!(device.plan_check(6_000), Some(Pace::Ringing), "sooner");
        assert_eq!(device.plan_check(11_001), Some(Pace::Ringing), "no room");
        device.fence().leave(CALL);
        device.fence().leave(other);
        assert_eq!(device.begin_check(16_001), []);
        assert_eq!(device.plan_check(16_001), None);
    }

    #[test]
    fn doubts_last() {
        let mut device = Device::default();
        device.doubt();

        assert_eq!(device.leave(), Some(Farewell::Twice));
    }
}
