//! Against I10 and I11.

use super::{
    assert_allowed, assert_seen,
    story::{ANN, ANNS, BOB, BOBS, CALL, S, Story, asked, call_row, signal, socket, told},
};
use crate::history::{CallRow, Event, Record, Whose};

/// Nobody answers: the call ends by itself so much after its time, in microseconds.
fn unanswered(story: &mut Story, late: i64) {
    story.records.retain(|record| {
        let is_news = matches!(&record.event, Event::Told { args, .. }
            if !["call:ringing", "call:incoming"].contains(&args.event.as_str()));
        let is_deed =
            matches!(&record.event, Event::Asked { args, .. } if args.action != "initiate");
        !is_news && !is_deed
    });
    story.call_row(|call| {
        *call = call_row("no_answer", 8, None, 0);
        call.ended_at = Some(call.rings_until + late);
    });
    for record in &mut story.records {
        if let Event::CallSeen { result, .. } = &mut record.event {
            *result = Some("no_answer".to_owned());
        }
    }
    story.note(12 * S, ANNS, told(ANN, "call:no-answer"));
    story.note(12 * S, BOBS, told(BOB, "call:missed"));
}

fn another(story: &mut Story, id: &str, row: CallRow) {
    for user in [&row.caller, &row.callee] {
        let args = Whose { user: user.clone() };
        let result = row.outcome.clone();
        story.note(
            30 * S,
            "suite",
            Event::CallSeen {
                key: id.to_owned(),
                args,
                result,
            },
        );
    }
    story.note(
        30 * S,
        "suite",
        Event::Call {
            key: id.to_owned(),
            result: CallRow {
                conversation: "elsewhere".to_owned(),
                ..row
            },
        },
    );
}

fn is_told(record: &Record, device: &str, event: &str) -> bool {
    record.proc == device
        && matches!(&record.event, Event::Told { args, .. } if args.event == event)
}

#[test]
fn i10_sees_a_call_without_an_outcome() {
    assert_seen("I10", |story| {
        story.call_row(|call| (call.outcome, call.ended_at) = (None, None));
    });
}

#[test]
fn i10_allows_a_call_that_nobody_answered() {
    assert_allowed(|story| unanswered(story, 900_000));
}

#[test]
fn i10_sees_ringing_that_ends_too_early_or_too_late() {
    assert_seen("I10", |story| unanswered(story, -1));
    assert_seen("I10", |story| unanswered(story, 1_600_000));
}

#[test]
fn i10_allows_ringing_to_end_late_while_who_decides_is_gone() {
    assert_allowed(|story| {
        unanswered(story, 1_600_000);
        story.fault(10 * S, 12 * S, "redis");
    });
    assert_seen("I10", |story| {
        unanswered(story, 1_600_000);
        story.fault(10 * S, 12 * S, "s1");
    });
}

#[test]
fn i10_sees_a_call_that_outlives_a_caller_who_is_gone() {
    assert_seen("I10", |story| {
        unanswered(story, 0);
        story.call_row(|call| call.abandoned = true);
    });
}

#[test]
fn i10_allows_it_only_where_redis_forgot_since_when_the_caller_was_gone() {
    let outlived = |story: &mut Story, target| {
        unanswered(story, 0);
        story.call_row(|call| call.abandoned = true);
        story.fault(9 * S, 10 * S, target);
    };
    assert_allowed(|story| outlived(story, "redis"));
    assert_seen("I10", |story| outlived(story, "nats"));
}

#[test]
fn i10_sees_an_outcome_that_its_answer_does_not_fit() {
    assert_seen("I10", |story| {
        story.call_row(|call| call.answered_at = None);
    });
}

#[test]
fn i10_sees_an_end_that_two_messages_tell_of_or_none() {
    for messages in [0, 2] {
        let mut story = Story::clean();
        story.call_row(|call| call.messages = messages);

        let found = super::check(&story.records);

        assert!(
            found.iter().any(|violation| violation.invariant == "I10"),
            "{found:?}"
        );
    }
}

#[test]
fn i10_sees_busy_where_nobody_was_in_a_call() {
    assert_seen("I10", |story| {
        another(story, "call-2", call_row("busy", 16, None, 16));
    });
    assert_allowed(|story| another(story, "call-2", call_row("busy", 14, None, 14)));
}

#[test]
fn i10_sees_somebody_in_two_calls() {
    assert_seen("I10", |story| {
        another(story, "call-2", call_row("cancelled", 9, None, 11));
    });
}

#[test]
fn i10_sees_rest_that_tells_otherwise_or_nothing() {
    assert_seen("I10", |story| {
        story.change(
            |record| match &mut record.event {
                Event::CallSeen { result, .. } => result.as_mut(),
                _ => None,
            },
            |outcome| "rejected".clone_into(outcome),
        );
    });
    assert_seen("I10", |story| {
        story.take(|record| matches!(record.event, Event::CallSeen { .. }));
    });
}

#[test]
fn i10_sees_news_of_a_call_that_there_never_was() {
    assert_seen("I10", |story| {
        let Event::Told { args, .. } = told(BOB, "call:incoming") else {
            panic!("not told");
        };
        story.note(
            15 * S,
            BOBS,
            Event::Told {
                key: "ghost".to_owned(),
                args,
            },
        );
    });
}

#[test]
fn i10_sees_an_end_that_is_told_twice_or_not_at_all() {
    assert_seen("I10", |story| {
        story.note(11 * S, BOBS, told(BOB, "call:ended"));
    });
    assert_seen("I10", |story| {
        drop(story.take(|record| is_told(record, BOBS, "call:ended")));
    });
}

/// Bob hears more, just before he hears that the call is over.
fn before_the_end(story: &mut Story, events: &[&str]) {
    let at = story
        .records
        .iter()
        .position(|record| is_told(record, BOBS, "call:ended"))
        .unwrap();
    let records = events.iter().map(|event| Record {
        t_invoke: 9 * S + 500,
        t_done: None,
        proc: BOBS.to_owned(),
        event: told(BOB, event),
    });
    let records: Vec<_> = records.collect();
    story.records.splice(at..at, records);
}

#[test]
fn i10_allows_an_end_for_each_time_that_the_call_began_on_a_device() {
    assert_seen("I10", |story| before_the_end(story, &["call:ended"]));
    assert_allowed(|story| before_the_end(story, &["call:ended", "call:incoming"]));
}

#[test]
fn i10_allows_an_end_not_to_be_told_to_a_socket_that_is_gone() {
    assert_allowed(|story| {
        let at = story
            .records
            .iter()
            .position(|record| is_told(record, BOBS, "call:ended"));
        story.records.remove(at.unwrap());
        story.note(
            10 * S + 10,
            BOBS,
            Event::Disconnected { args: socket(1, 1) },
        );
        story.add(
            10 * S + 50,
            Some(10 * S + 60),
            BOBS,
            Event::Connected {
                args: crate::history::Socket {
                    recovered: true,
                    ..socket(2, 1)
                },
            },
        );
    });
}

#[test]
fn i10_sees_sides_that_disagree() {
    assert_seen("I10", |story| {
        story.take(|record| is_told(record, BOBS, "call:ended"));
        story.note(11 * S, BOBS, told(BOB, "call:missed"));
    });
}

#[test]
fn i10_sees_two_devices_in_one_call() {
    assert_seen("I10", |story| {
        story.note(9 * S + 50, "p1.d1", told(BOB, "call:connected"));
        story.note(10 * S + 50, "p1.d1", told(BOB, "call:ended"));
    });
}

#[test]
fn i10_sees_a_call_that_goes_on_after_somebody_hung_up() {
    assert_seen("I10", |story| {
        story.call_row(|call| call.ended_at = Some(25_000_000));
    });
}

#[test]
fn i11_sees_a_signal_before_the_accept() {
    assert_seen("I11", |story| {
        let at = story
            .records
            .iter()
            .position(|record| is_told(record, BOBS, "call:incoming"));
        let proc = BOBS.to_owned();
        let event = signal(BOB, 0);
        story.records.insert(
            at.unwrap(),
            Record {
                t_invoke: 8 * S,
                t_done: None,
                proc,
                event,
            },
        );
    });
}

#[test]
fn i11_sees_signals_that_changed_places() {
    assert_seen("I11", |story| {
        story.note(9 * S + 60, BOBS, signal(BOB, 4));
        story.note(9 * S + 70, BOBS, signal(BOB, 3));
    });
}

#[test]
fn i11_sees_a_signal_that_comes_again_over_the_same_connection() {
    assert_seen("I11", |story| {
        story.note(9 * S + 60, BOBS, signal(BOB, 1));
    });
}

#[test]
fn i11_allows_a_signal_to_come_again_when_redis_may_have_forgotten_it() {
    assert_allowed(|story| {
        story.note(9 * S + 60, BOBS, signal(BOB, 1));
        story.fault(7 * S, 8 * S, "redis");
    });
    assert_seen("I11", |story| {
        story.note(9 * S + 60, BOBS, signal(BOB, 1));
        story.fault(7 * S, 8 * S, "nats");
    });
}

/// Another device of Bob, which came at `came`, takes part in the call after Bob's first is gone.
fn in_place_of_another(story: &mut Story, came: u64, events: impl IntoIterator<Item = Event>) {
    let other = "p1.d1";
    let connected = Event::Connected { args: socket(1, 1) };
    story.records.insert(
        1,
        Record {
            t_invoke: came,
            t_done: Some(came),
            proc: other.to_owned(),
            event: connected,
        },
    );
    story.add(
        9 * S + 50,
        None,
        BOBS,
        Event::Disconnected { args: socket(1, 1) },
    );
    for event in events {
        story.note(9 * S + 60, other, event);
    }
    let back = crate::history::Socket {
        recovered: true,
        ..socket(2, 1)
    };
    let connected = Event::Connected { args: back };
    story.add(9 * S + 70, Some(9 * S + 80), BOBS, connected);
}

#[test]
fn i10_sees_a_device_in_a_call_that_was_there_beside_the_one_that_is_gone() {
    let news = || ["call:connected", "call:ended"].map(|event| told(BOB, event));
    assert_seen("I10", |story| in_place_of_another(story, 2 * S, news()));
    assert_allowed(|story| in_place_of_another(story, 9 * S + 55, news()));
}

#[test]
fn i11_sees_a_signal_at_a_device_that_was_there_beside_the_one_that_is_gone() {
    let news = || [signal(BOB, 1), told(BOB, "call:ended")];
    assert_seen("I11", |story| in_place_of_another(story, 2 * S, news()));
    assert_allowed(|story| in_place_of_another(story, 9 * S + 55, news()));
}

#[test]
fn i11_allows_a_signal_to_come_again_over_another_connection() {
    assert_allowed(|story| {
        let mut event = signal(BOB, 1);
        if let Event::Told { args, .. } = &mut event {
            args.session = 2;
        }
        story.note(9 * S + 60, BOBS, event);
    });
}

#[test]
fn i10_allows_ringing_to_end_late_when_trouble_begins_before_its_time_is_up() {
    assert_seen("I10", |story| {
        unanswered(story, 1_600_000);
    });
    assert_allowed(|story| {
        unanswered(story, 1_600_000);
        story.fault(12 * S, 13 * S, "redis");
    });
}

#[test]
fn i11_sees_a_signal_that_was_meant_for_another_call() {
    assert_seen("I11", |story| {
        let mut event = signal(BOB, 3);
        if let Event::Told { args, .. } = &mut event {
            args.meant = Some("call-0".to_owned());
        }
        story.note(9 * S + 60, BOBS, event);
    });
}

#[test]
fn whoever_ended_a_call_need_not_hear_of_it() {
    assert_allowed(|story| {
        story.add(
            10 * S,
            Some(10 * S + 5),
            BOBS,
            asked(BOB, ANN, "end", "call:end"),
        );
        story.take(|record| is_told(record, BOBS, "call:ended"));
        assert_eq!(CALL, "call-1");
    });
}
