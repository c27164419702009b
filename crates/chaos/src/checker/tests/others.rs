//! Against I12 to I16.

use super::{
    assert_allowed, assert_seen,
    story::{ANN, ANNS, BOB, BOBS, S, Story, heard, message, presence, socket},
};
use crate::history::{Event, Expected, Message};

#[test]
fn i12_sees_somebody_shown_otherwise_than_they_are() {
    for (online, connected) in [(true, false), (false, true)] {
        assert_seen("I12", |story| {
            story.note(32 * S, "suite", presence(BOB, ANN, online, Some(connected)));
        });
    }
}

#[test]
fn i12_sees_somebody_shown_to_a_stranger() {
    for (at, connected) in [(32, Some(true)), (12, None)] {
        assert_seen("I12", |story| {
            let mut event = presence(BOB, "mallory", true, connected);
            if let Event::Presence { args, .. } = &mut event {
                args.is_contact = false;
            }
            story.note(at * S, "suite", event);
        });
    }
}

fn flapped(story: &mut Story) {
    gone_since(story, 12 * S);
}

/// Ann is back at 13 s, and is shown as gone just before.
fn gone_since(story: &mut Story, gone: u64) {
    // Ann's device is p0's.
    story.note(gone, ANNS, Event::Disconnected { args: socket(1, 1) });
    story.add(
        13 * S,
        Some(13 * S),
        ANNS,
        Event::Connected {
            args: crate::history::Socket {
                recovered: true,
                ..socket(2, 1)
            },
        },
    );
    story.note(12 * S + 500, BOBS, presence("p0", BOB, false, None));
    story.note(13 * S + 500, BOBS, presence("p0", BOB, true, None));
}

#[test]
fn i12_sees_a_reconnect_that_was_shown_as_gone() {
    assert_seen("I12", flapped);
}

#[test]
fn i12_allows_it_while_nobody_could_say_otherwise() {
    assert_allowed(|story| {
        flapped(story);
        story.fault(4 * S, 5 * S, "redis");
    });
    assert_seen("I12", |story| {
        flapped(story);
        story.fault(4 * S, 5 * S, "g1");
    });
}

#[test]
fn i12_allows_somebody_to_be_shown_as_gone_who_was_for_longer_than_the_grace() {
    assert_allowed(|story| gone_since(story, 4 * S));
    assert_seen("I12", |story| gone_since(story, 5 * S));
}

#[test]
fn i13_sees_a_message_that_reached_a_stranger() {
    assert_seen("I13", |story| {
        story.note(12 * S, "p9.d0", heard("mallory", 1, &message(1)));
    });
}

#[test]
fn i13_sees_a_message_of_another_conversation() {
    let mut story = Story::clean();
    let stray = Message {
        content: "another canary".to_owned(),
        ..message(1)
    };
    story.note(
        12 * S,
        "p9.d0",
        heard(
            ANN,
            1,
            &Message {
                content: "cana ry".to_owned(),
                ..stray
            },
        ),
    );

    let found = super::check(&story.records);

    assert!(
        found.iter().any(|violation| violation.invariant == "I13"),
        "{found:?}"
    );
}

#[test]
fn i14_sees_content_in_a_log() {
    assert_seen("I14", |story| {
        let leak = Event::Leak {
            key: "g1.log".to_owned(),
            result: "content".to_owned(),
        };
        story.note(32 * S, "suite", leak);
    });
}

#[test]
fn i15_sees_what_is_left_over() {
    assert_seen("I15", |story| {
        let args = Expected {
            at_least: 0,
            at_most: 0,
        };
        let event = Event::Count {
            key: "rows in the outbox".to_owned(),
            args,
            result: 1,
        };
        story.note(32 * S, "suite", event);
    });
}

#[test]
fn i16_sees_a_process_that_did_not_end_well() {
    assert_seen("I16", |story| {
        let result = "exit status: 1".to_owned();
        let event = Event::Drained {
            key: "g1".to_owned(),
            result,
        };
        story.add(20 * S, Some(21 * S), "suite", event);
    });
}

#[test]
fn i16_allows_work_to_be_dropped_that_something_else_keeps_from_ending() {
    assert_allowed(|story| {
        let result = "exit status: 1".to_owned();
        let key = "g1".to_owned();
        story.add(
            20 * S,
            Some(21 * S),
            "suite",
            Event::Drained { key, result },
        );
        story.fault(20 * S, 22 * S, "nats");
    });
}

#[test]
fn i16_sees_a_process_that_broke_down_whatever_else_was_broken() {
    assert_seen("I16", |story| {
        let result = "signal: 6 (SIGABRT)".to_owned();
        let key = "g1".to_owned();
        let drained = Event::Drained { key, result };
        story.add(20 * S, Some(21 * S), "suite", drained);
        story.fault(20 * S, 22 * S, "nats");
    });
}

/// Bob's connection is gone while a gateway drains, and back after so long.
fn away(story: &mut Story, time: u64) {
    story.note(
        20 * S + 100,
        BOBS,
        Event::Disconnected { args: socket(1, 1) },
    );
    let back = 20 * S + 100 + time;
    let args = crate::history::Socket {
        recovered: true,
        ..socket(2, 1)
    };
    story.add(back, Some(back), BOBS, Event::Connected { args });
}

#[test]
fn i16_sees_a_client_that_was_away_for_long() {
    assert_seen("I16", |story| away(story, 6 * S));
    assert_allowed(|story| away(story, 4 * S));
}

#[test]
fn i16_allows_it_when_something_else_was_broken() {
    assert_allowed(|story| {
        away(story, 6 * S);
        story.fault(22 * S, 25 * S, "nats");
    });
}
