//! Against I4 and I5.

use super::{
    assert_allowed, assert_seen,
    story::{BOB, BOBS, S, Story, TALK, heard, is_heard, message, socket},
};
use crate::history::{Event, Message, Record, Socket, Window};

/// Where Bob heard a message.
fn at(story: &Story, seq: u64) -> usize {
    story
        .records
        .iter()
        .position(|record| is_heard(record, BOBS, seq))
        .unwrap()
}

fn insert(story: &mut Story, at: usize, t: u64, event: Event) {
    let proc = BOBS.to_owned();
    story.records.insert(
        at,
        Record {
            t_invoke: t,
            t_done: Some(t + 10),
            proc,
            event,
        },
    );
}

/// Bob's connection is gone after message 2 and comes back.
fn reconnect(story: &mut Story, recovered: bool) {
    let at = at(story, 2) + 1;
    let stream = if recovered { 1 } else { 2 };
    insert(
        story,
        at,
        3 * S + 200,
        Event::Disconnected { args: socket(1, 1) },
    );
    let args = Socket {
        recovered,
        ..socket(2, stream)
    };
    insert(story, at + 1, 3 * S + 300, Event::Connected { args });
    for record in story
        .records
        .iter_mut()
        .skip(at + 2)
        .filter(|record| record.proc == BOBS)
    {
        match &mut record.event {
            Event::Heard { args } => (args.session, args.stream) = (2, stream),
            Event::Listening { args } => *args = socket(2, stream),
            _ => {}
        }
    }
}

fn sync(story: &mut Story, at: usize, after: u64, result: Vec<Message>) {
    let args = Window {
        user: BOB.to_owned(),
        after: Some(after),
        ..Window::default()
    };
    insert(
        story,
        at,
        12 * S,
        Event::Synced {
            key: TALK.to_owned(),
            args,
            result,
        },
    );
}

#[test]
fn i4_sees_a_message_that_came_twice() {
    assert_seen("I4", |story| {
        let at = at(story, 2);
        let again = story.records[at].clone();
        story.records.insert(at, again);
    });
}

#[test]
fn i4_sees_messages_that_changed_places() {
    assert_seen("I4", |story| {
        let (a, b) = (at(story, 2), at(story, 3));
        story.records.swap(a, b);
    });
}

#[test]
fn i4_sees_a_message_that_was_left_out_even_if_it_was_fetched_later() {
    assert_seen("I4", |story| {
        story.take(|record| is_heard(record, BOBS, 2));
        let at = at(story, 5);
        sync(story, at, 1, vec![message(2)]);
    });
}

#[test]
fn i4_sees_a_beginning_that_was_left_out() {
    assert_seen("I4", |story| {
        story.take(|record| is_heard(record, BOBS, 1));
        let at = at(story, 5);
        sync(story, at, 0, vec![message(1)]);
    });
}

#[test]
fn i4_allows_a_beginning_that_is_told_to_be_missing() {
    assert_allowed(|story| {
        story.take(|record| is_heard(record, BOBS, 1));
        let at = at(story, 2) + 1;
        let key = TALK.to_owned();
        insert(
            story,
            at,
            3 * S + 60,
            Event::Resync {
                key,
                args: socket(1, 1),
            },
        );
        sync(story, at + 1, 0, vec![message(1)]);
    });
}

/// Bob is told that he missed something, before he heard anything; `lost` he never hears.
fn told_early(story: &mut Story, lost: u64) {
    for seq in 1..=lost {
        story.take(|record| is_heard(record, BOBS, seq));
    }
    let at = at(story, lost + 1);
    let key = TALK.to_owned();
    let args = socket(1, 1);
    insert(story, at, 2 * S + 500_000, Event::Resync { key, args });
    let fetched = (1..=lost).map(message).collect();
    sync(story, at + 1, 0, fetched);
}

#[test]
fn i4_sees_what_is_left_out_after_a_client_was_told_to_fetch_and_allows_what_was_before() {
    assert_allowed(|story| told_early(story, 1));
    assert_seen("I4", |story| told_early(story, 2));
}

#[test]
fn i4_sees_an_end_that_was_left_out() {
    assert_seen("I4", |story| {
        let last = story.take(|record| is_heard(record, BOBS, 5));
        let Event::Heard { args } = last.event else {
            panic!("not heard");
        };
        let at = at(story, 4) + 1;
        sync(story, at, 4, vec![args.message]);
    });
}

#[test]
fn i4_sees_a_device_that_never_got_something() {
    assert_seen("I4", |story| {
        reconnect(story, false);
        let missed = at(story, 3);
        let connected = story.records.iter().position(|record| {
            record.proc == BOBS
                && matches!(&record.event, Event::Connected { args } if args.session == 2)
        });
        // It was back when the message had been sent, and never asked what it had missed.
        story.records[connected.unwrap()].t_done = Some(4 * S + 10);
        story.records.remove(missed);
    });
}

#[test]
fn i4_allows_a_new_beginning_that_catches_up() {
    assert_allowed(|story| {
        reconnect(story, false);
        let connected = story.records.iter().position(|record| {
            record.proc == BOBS
                && matches!(&record.event, Event::Connected { args } if args.session == 2)
        });
        story.records[connected.unwrap()].t_done = Some(4 * S + 10);
        let missed = at(story, 3);
        story.records.remove(missed);
        sync(story, missed, 2, vec![message(3)]);
    });
}

#[test]
fn i4_sees_a_device_that_did_not_come_back() {
    assert_seen("I4", |story| {
        story.take(|record| record.proc == BOBS && matches!(record.event, Event::Listening { .. }));
    });
}

#[test]
fn i4_sees_a_message_other_than_the_stored_one() {
    assert_seen("I4", |story| {
        let at = at(story, 2);
        story.records[at].event = heard(
            BOB,
            1,
            &Message {
                content: "canary 9".to_owned(),
                ..message(2)
            },
        );
    });
}

#[test]
fn i4_sees_messages_of_a_room_that_was_left() {
    assert_seen("I4", |story| {
        let at = at(story, 3);
        let left = Event::Left {
            key: TALK.to_owned(),
            args: socket(1, 1),
        };
        insert(story, at, 3 * S + 500, left);
    });
}

#[test]
fn i4_allows_a_room_that_was_left_and_joined_again() {
    assert_allowed(|story| {
        let at = at(story, 3);
        let event = story.records.remove(at);
        let Event::Heard { args } = event.event else {
            panic!("not heard");
        };
        let key = || TALK.to_owned();
        insert(
            story,
            at,
            3 * S + 500,
            Event::Left {
                key: key(),
                args: socket(1, 1),
            },
        );
        insert(
            story,
            at + 1,
            4 * S + 500,
            Event::Joined {
                key: key(),
                args: socket(1, 1),
            },
        );
        sync(story, at + 2, 2, vec![args.message]);
        for record in story
            .records
            .iter_mut()
            .skip(at + 2)
            .filter(|record| record.proc == BOBS)
        {
            if let Event::Heard { args } = &mut record.event {
                args.slice = 1;
            }
        }
    });
}

#[test]
fn i5_allows_a_recovery_that_goes_on_where_it_was() {
    assert_allowed(|story| reconnect(story, true));
}

#[test]
fn i5_sees_a_recovery_that_left_something_out() {
    assert_seen("I5", |story| {
        reconnect(story, true);
        let missed = at(story, 3);
        story.records.remove(missed);
        sync(story, missed, 2, vec![message(3)]);
    });
}

#[test]
fn i5_sees_a_recovery_that_told_something_twice() {
    assert_seen("I5", |story| {
        reconnect(story, true);
        let at = at(story, 3);
        let mut again = story.records[at].clone();
        if let Event::Heard { args } = &mut again.event {
            args.message = message(2);
        }
        story.records.insert(at, again);
    });
}
