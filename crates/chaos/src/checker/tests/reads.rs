//! Against I8 and I9.

use super::{
    assert_allowed, assert_seen,
    story::{ANN, BOB, BOBS, S, Story, TALK, id, message},
};
use crate::history::{Event, Marking, Message, Whose, Window};

fn page(story: &mut Story, window: &Window, seqs: &[u64]) {
    let read = |seq| seq == 1 || seq == 3;
    let result = seqs
        .iter()
        .map(|seq| Message {
            is_read: read(*seq),
            ..message(*seq)
        })
        .collect();
    let args = Window {
        user: ANN.to_owned(),
        limit: 3,
        ..window.clone()
    };
    let event = Event::Page {
        key: TALK.to_owned(),
        args,
        result,
    };
    story.add(15 * S, Some(15 * S + 10), "p0.rest", event);
}

#[test]
fn i8_sees_a_page_with_a_hole() {
    let window = Window {
        after: Some(0),
        ascending: true,
        ..Window::default()
    };
    assert_seen("I8", |story| page(story, &window, &[1, 3]));
}

#[test]
fn i8_sees_a_page_in_the_wrong_order() {
    let window = Window {
        after: Some(0),
        ascending: false,
        ..Window::default()
    };
    assert_seen("I8", |story| page(story, &window, &[1, 2, 3]));
}

#[test]
fn i8_sees_a_page_that_begins_elsewhere() {
    let window = Window {
        after: Some(1),
        ascending: true,
        ..Window::default()
    };
    assert_seen("I8", |story| page(story, &window, &[3, 4]));
}

#[test]
fn i8_sees_a_page_without_what_was_confirmed_before() {
    let window = Window {
        after: Some(1),
        ascending: true,
        ..Window::default()
    };
    assert_seen("I8", |story| page(story, &window, &[2, 3]));
    let window = Window {
        ascending: true,
        ..Window::default()
    };
    assert_seen("I8", |story| page(story, &window, &[1, 2, 3]));
}

#[test]
fn i8_sees_a_page_that_is_too_long() {
    let window = Window {
        after: Some(0),
        ascending: true,
        ..Window::default()
    };
    assert_seen("I8", |story| page(story, &window, &[1, 2, 3, 4]));
}

#[test]
fn i8_sees_a_page_with_other_content() {
    assert_seen("I8", |story| {
        story.change(
            |record| match &mut record.event {
                Event::Page { result, .. } => result.first_mut(),
                _ => None,
            },
            |message| message.content.push('!'),
        );
    });
}

#[test]
fn i9_sees_what_was_read_and_then_was_not() {
    assert_seen("I9", |story| {
        let args = Window {
            user: ANN.to_owned(),
            after: Some(0),
            limit: 1,
            ascending: true,
            ..Window::default()
        };
        let event = Event::Page {
            key: TALK.to_owned(),
            args,
            result: vec![message(1)],
        };
        story.add(15 * S, Some(15 * S + 10), "p0.rest", event);
    });
}

#[test]
fn i9_allows_a_message_to_be_marked_after_the_rows_were_read_and_not_before() {
    let seen_as_read = |story: &mut Story, at| {
        let args = Window {
            user: BOB.to_owned(),
            after: Some(3),
            limit: 1,
            ascending: true,
            ..Window::default()
        };
        let event = Event::Page {
            key: TALK.to_owned(),
            args,
            result: vec![Message {
                is_read: true,
                ..message(4)
            }],
        };
        story.add(at, Some(at + 10), "p1.rest", event);
    };
    assert_allowed(|story| seen_as_read(story, 33 * S));
    assert_seen("I9", |story| seen_as_read(story, 28 * S));
}

#[test]
fn i9_sees_what_was_marked_and_is_stored_unread() {
    assert_seen("I9", |story| {
        story.row(3, |row| row.is_read = false);
        story.change(
            |record| match &mut record.event {
                Event::UnreadRow { args, result, .. } if args.user == BOB => Some(result),
                _ => None,
            },
            |unread| *unread = 3,
        );
    });
}

#[test]
fn i9_sees_what_was_marked_twice_or_not_asked_for() {
    for (asked, marked) in [(1, 1), (4, 3)] {
        assert_seen("I9", |story| {
            let args = Marking {
                user: BOB.to_owned(),
                ids: vec![id(asked)],
            };
            let event = Event::Read {
                key: TALK.to_owned(),
                args,
                result: Some(vec![id(marked)]),
            };
            story.add(12 * S, Some(12 * S + 10), BOBS, event);
        });
    }
}

#[test]
fn i9_sees_a_stored_counter_that_is_wrong() {
    assert_seen("I9", |story| {
        story.change(
            |record| match &mut record.event {
                Event::UnreadRow { result, .. } => Some(result),
                _ => None,
            },
            |unread| *unread += 1,
        );
    });
}

#[test]
fn i9_sees_a_counter_that_no_order_explains() {
    for wrong in [0, 4] {
        assert_seen("I9", |story| {
            let args = Whose {
                user: BOB.to_owned(),
            };
            let event = Event::Unread {
                key: TALK.to_owned(),
                args,
                result: wrong,
            };
            story.add(7 * S, Some(7 * S + 10), "p1.rest", event);
        });
    }
}
