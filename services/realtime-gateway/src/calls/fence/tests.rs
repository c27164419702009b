use uuid::Uuid;

use super::*;

const CALL: CallId = CallId(Uuid::nil());

fn frames(texts: &[&str]) -> Vec<Frame> {
    texts.iter().map(|text| Frame::text(text)).collect()
}

/// A device that rang or accepted itself.
fn acting() -> Fence {
    let mut fence = Fence::default();
    fence.expect();
    fence
}

fn connected() -> Fence {
    let mut fence = acting();
    assert!(fence.tell(CALL, 2, Tell::Connected).is_some());
    fence
}

#[test]
fn everything_is_told_once() {
    let mut fence = Fence::default();

    assert_eq!(fence.tell(CALL, 1, Tell::Incoming), Some(vec![]));
    assert_eq!(fence.tell(CALL, 1, Tell::Incoming), None);
    assert_eq!(fence.tell(CALL, 2, Tell::AnsweredElsewhere), Some(vec![]));
    assert_eq!(fence.tell(CALL, 2, Tell::AnsweredElsewhere), None);
    assert_eq!(fence.tell(CALL, 1, Tell::Incoming), None);
}

#[test]
fn one_change_may_tell_two_things() {
    let mut fence = acting();

    assert!(fence.tell(CALL, 2, Tell::Accepted).is_some());
    assert!(fence.tell(CALL, 2, Tell::Connected).is_some());
    assert!(fence.tell(CALL, 2, Tell::Accepted).is_none());
    assert!(fence.tell(CALL, 2, Tell::Connected).is_none());
}

#[test]
fn what_is_out_of_date_is_not_told() {
    let mut fence = Fence::default();

    assert!(fence.tell(CALL, 2, Tell::Ended).is_some());
    assert!(fence.tell(CALL, 1, Tell::Incoming).is_none());
    assert!(fence.tell(CALL, 2, Tell::Missed).is_none());
}

#[test]
fn an_end_that_is_decided_once_more_is_told_once() {
    let mut fence = acting();

    assert!(fence.tell(CALL, 2, Tell::NoAnswer).is_some());
    assert!(fence.tell(CALL, 1_003, Tell::NoAnswer).is_none());
    assert!(fence.tell(CALL, 1_003, Tell::Ended).is_none());
}

#[test]
fn what_rings_once_more_ends_once_more() {
    let mut fence = Fence::default();

    assert!(fence.tell(CALL, 2, Tell::Ended).is_some());
    assert!(fence.tell(CALL, 3, Tell::Incoming).is_some());
    assert!(fence.tell(CALL, 4, Tell::Ended).is_some());
}

#[test]
fn a_device_that_was_left_may_be_in_the_call_again() {
    let mut fence = acting();

    assert!(fence.tell(CALL, 2, Tell::Ended).is_some());
    assert!(fence.tell(CALL, 4, Tell::Accepted).is_some());
    assert_eq!(
        fence.signals(CALL, 1, frames(&["a"])).frames,
        frames(&["a"])
    );
}

#[test]
fn signals_pass_in_order_and_once() {
    let mut fence = connected();

    assert_eq!(
        fence.signals(CALL, 1, frames(&["a", "b"])).frames,
        frames(&["a", "b"])
    );
    assert_eq!(
        fence.signals(CALL, 1, frames(&["a", "b", "c"])).frames,
        frames(&["c"])
    );
    let early = fence.signals(CALL, 5, frames(&["e"]));
    assert_eq!((early.frames, early.waits), (vec![], true));
    let early = fence.signals(CALL, 6, frames(&["f"]));
    assert_eq!((early.frames, early.waits), (vec![], false));
    assert_eq!(
        fence.signals(CALL, 4, frames(&["d"])).frames,
        frames(&["d", "e", "f"])
    );
}

#[test]
fn nothing_passes_before_the_device_is_told() {
    let mut fence = acting();

    let early = fence.signals(CALL, 1, frames(&["a"]));
    assert_eq!((early.frames, early.waits), (vec![], true));
    assert_eq!(fence.tell(CALL, 1, Tell::Ringing), Some(vec![]));
    assert_eq!(fence.tell(CALL, 2, Tell::Accepted), Some(frames(&["a"])));
}

#[test]
fn a_callee_that_accepts_hears_from_the_beginning() {
    let mut fence = Fence::default();
    assert!(fence.tell(CALL, 1, Tell::Incoming).is_some());

    fence.expect();
    assert_eq!(fence.signals(CALL, 2, frames(&["b"])).frames, vec![]);
    assert!(fence.tell(CALL, 2, Tell::Connected).is_some());

    assert_eq!(
        fence.signals(CALL, 1, frames(&["a"])).frames,
        frames(&["a", "b"])
    );
}

#[test]
fn a_device_that_takes_over_hears_from_where_it_is() {
    let mut fence = Fence::default();

    assert_eq!(
        fence.signals(CALL, 7, frames(&["g"])).frames,
        frames(&["g"])
    );
    assert_eq!(fence.signals(CALL, 9, frames(&["i"])).frames, vec![]);
    assert_eq!(
        fence.signals(CALL, 8, frames(&["h"])).frames,
        frames(&["h", "i"])
    );
}

#[test]
fn what_never_comes_is_not_waited_for() {
    let mut fence = connected();
    let _held = fence.signals(CALL, 3, frames(&["c", "d"]));

    assert_eq!(fence.release(CALL), frames(&["c", "d"]));
    assert_eq!(fence.signals(CALL, 2, frames(&["b"])).frames, vec![]);
    assert_eq!(
        fence.signals(CALL, 5, frames(&["e"])).frames,
        frames(&["e"])
    );
}

#[test]
fn a_device_that_rings_hears_no_signal_before_it_is_told() {
    let mut fence = acting();
    assert!(fence.tell(CALL, 1, Tell::Ringing).is_some());
    let _held = fence.signals(CALL, 2, frames(&["b"]));
    let _held = fence.signals(CALL, 4, frames(&["d"]));

    assert_eq!(fence.release(CALL), vec![]);

    let told = fence.tell(CALL, 2, Tell::Accepted);
    assert_eq!(told, Some(frames(&["b", "d"])));
    assert_eq!(fence.signals(CALL, 6, frames(&["f"])).frames, vec![]);
}

#[test]
fn a_device_that_acts_and_heard_nothing_of_the_call_takes_over() {
    let mut fence = acting();
    let _held = fence.signals(CALL, 7, frames(&["g"]));

    assert_eq!(fence.release(CALL), frames(&["g"]));
    assert_eq!(
        fence.signals(CALL, 8, frames(&["h"])).frames,
        frames(&["h"])
    );
}

#[test]
fn after_the_end_nothing_passes() {
    let mut fence = connected();
    let _held = fence.signals(CALL, 2, frames(&["b"]));

    assert_eq!(fence.tell(CALL, 3, Tell::Ended), Some(vec![]));
    assert_eq!(fence.signals(CALL, 1, frames(&["a"])), Passed::default());
    assert_eq!(fence.release(CALL), vec![]);
}

#[test]
fn it_is_bounded() {
    let mut fence = connected();
    let many = vec![Frame::text("x"); MAX_HELD + 1];
    assert_eq!(fence.signals(CALL, 2, many).n_dropped, 1);
    let large = Frame::text(&"x".repeat(MAX_HELD_BYTES));
    let other = CallId(Uuid::from_u128(1));
    assert_eq!(fence.signals(other, 1, vec![large]).n_dropped, 1);

    for n in 0..100 {
        let _told = fence.tell(CallId(Uuid::from_u128(n)), 1, Tell::Incoming);
    }
    assert_eq!(fence.calls.len(), MAX_CALLS);
}

/// The calls that go on, and whether they are connected.
fn going_on(fence: &Fence) -> Vec<(CallId, u32, bool)> {
    let of = |heard: Heard| (heard.call, heard.version, heard.is_connected);
    fence.going_on().map(of).collect()
}

#[test]
fn a_call_goes_on_from_what_begins_it_to_what_ends_it() {
    let mut fence = Fence::default();
    assert_eq!(going_on(&fence), []);

    assert!(fence.tell(CALL, 1, Tell::Incoming).is_some());
    assert_eq!(going_on(&fence), [(CALL, 1, false)]);
    assert!(fence.tell(CALL, 2, Tell::Connected).is_some());
    assert_eq!(going_on(&fence), [(CALL, 2, true)]);
    assert!(fence.tell(CALL, 3, Tell::Ended).is_some());
    assert_eq!(going_on(&fence), []);
    assert!(fence.tell(CALL, 4, Tell::Incoming).is_some());
    assert_eq!(going_on(&fence), [(CALL, 4, false)]);
    assert!(fence.tell(CALL, 4, Tell::Ended).is_some());
    assert_eq!(going_on(&fence), []);
}

#[test]
fn who_takes_over_or_is_answered_is_in_the_call() {
    let mut fence = Fence::default();
    let _passed = fence.signals(CALL, 7, frames(&["g"]));
    assert_eq!(going_on(&fence), [(CALL, 0, true)]);

    let mut fence = acting();
    let _held = fence.signals(CALL, 7, frames(&["g"]));
    assert_eq!(going_on(&fence), []);
    let _passed = fence.release(CALL);
    assert_eq!(going_on(&fence), [(CALL, 0, true)]);

    let mut fence = acting();
    fence.join(CALL);
    assert_eq!(going_on(&fence), [(CALL, 0, false)]);
    assert!(fence.tell(CALL, 1, Tell::Ringing).is_some());
    assert!(fence.tell(CALL, 2, Tell::Busy).is_some());
    fence.join(CALL);
    assert_eq!(going_on(&fence), []);
}

#[test]
fn who_comes_in_place_of_another_is_in_its_call() {
    let heard = |is_connected| Heard {
        call: CALL,
        version: 5,
        is_connected,
    };
    let mut fence = acting();
    fence.take_over(&heard(true));
    assert_eq!(going_on(&fence), [(CALL, 0, true)]);
    let passed = fence.signals(CALL, 7, frames(&["g"]));
    assert_eq!(passed.frames, frames(&["g"]));
    assert!(fence.tell(CALL, 5, Tell::Connected).is_some());

    let mut fence = Fence::default();
    fence.take_over(&heard(false));
    assert_eq!(going_on(&fence), [(CALL, 0, false)]);
    assert_eq!(fence.signals(CALL, 1, frames(&["a"])).frames, []);
    assert_eq!(fence.release(CALL), []);
    assert_eq!(fence.tell(CALL, 6, Tell::Accepted), Some(frames(&["a"])));

    let mut fence = Fence::default();
    assert!(fence.tell(CALL, 6, Tell::Ended).is_some());
    fence.take_over(&heard(true));
    assert_eq!(
        going_on(&fence),
        [],
        "it heard more than the store when it said so"
    );
}

#[test]
fn who_ends_a_call_hears_no_more_of_it() {
    let mut fence = connected();
    let _held = fence.signals(CALL, 2, frames(&["b"]));

    fence.leave(CALL);

    assert_eq!(going_on(&fence), []);
    assert!(fence.tell(CALL, 3, Tell::Ended).is_none());
    assert_eq!(fence.signals(CALL, 1, frames(&["a"])), Passed::default());
}

#[test]
fn what_rings_is_not_told_again_when_its_state_came_back() {
    let mut fence = Fence::default();
    assert!(fence.tell(CALL, 1, Tell::Incoming).is_some());

    assert!(fence.tell(CALL, 1_001, Tell::Incoming).is_none());

    assert_eq!(going_on(&fence), [(CALL, 1_001, false)]);
    assert!(fence.tell(CALL, 1_001, Tell::Missed).is_some());
}
