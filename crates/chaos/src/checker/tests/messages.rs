//! Against I1, I2, I3, I6 and I7.

use super::{
    assert_allowed, assert_seen,
    story::{S, TALK, is_heard, is_send, message},
};
use crate::history::{Event, Outcome};

#[test]
fn i1_sees_times_that_do_not_grow() {
    assert_seen("I1", |story| {
        let same = message(1).created_at;
        for record in &mut story.records {
            let messages: Vec<_> = match &mut record.event {
                Event::Row { result, .. } => vec![result],
                Event::Heard { args } => vec![&mut args.message],
                Event::Page { result, .. } => result.iter_mut().collect(),
                Event::Send {
                    result: Some(Outcome::Stored(message)),
                    ..
                } => vec![message],
                _ => continue,
            };
            for message in messages {
                if message.seq == 2 {
                    message.created_at.clone_from(&same);
                }
            }
        }
    });
}

#[test]
fn i1_sees_a_hole() {
    let mut story = super::Story::clean();
    story.take(|record| matches!(&record.event, Event::Row { result, .. } if result.seq == 2));

    let found = super::check(&story.records);

    assert!(
        found.iter().any(|violation| violation.invariant == "I1"),
        "{found:?}"
    );
}

#[test]
fn i2_sees_a_confirmed_message_that_is_lost() {
    assert_seen("I2", |story| {
        // Confirmed to somebody else under another key, and nowhere to be found.
        let mut lost = story
            .records
            .iter()
            .find(|record| is_send(record, 4))
            .unwrap()
            .clone();
        if let Event::Send { key, args, .. } = &mut lost.event {
            key.push('x');
            args.session = Some(9);
        }
        story.records.push(lost);
    });
}

#[test]
fn i2_sees_a_message_that_is_stored_twice() {
    let mut story = super::Story::clean();
    story.row(2, |row| row.client_message_id = Some(super::story::key(1)));

    let found = super::check(&story.records);

    let is_it = |violation: &&super::super::Violation| violation.what.contains("stored twice");
    assert!(
        found
            .iter()
            .find(is_it)
            .is_some_and(|violation| violation.invariant == "I2")
    );
}

#[test]
fn i2_sees_a_confirmation_that_said_something_else() {
    assert_seen("I2", |story| {
        story.sent(2, |record| {
            if let Event::Send {
                result: Some(Outcome::Stored(message)),
                ..
            } = &mut record.event
            {
                message.id.push('x');
            }
        });
    });
}

#[test]
fn i2_sees_what_was_refused_or_never_confirmed() {
    for outcome in [Some(Outcome::Refused("conflict".to_owned())), None] {
        assert_seen("I2", |story| {
            story.sent(2, |record| {
                if let Event::Send { result, .. } = &mut record.event {
                    *result = outcome;
                }
            });
        });
    }
}

#[test]
fn i3_sees_what_nobody_sent() {
    assert_seen("I3", |story| drop(story.take(|record| is_send(record, 2))));
}

#[test]
fn i3_sees_a_message_in_the_name_of_another() {
    assert_seen("I3", |story| {
        story.sent(2, |record| {
            if let Event::Send { args, .. } = &mut record.event {
                args.sender = "mallory".to_owned();
            }
        });
    });
}

#[test]
fn i3_sees_a_message_about_no_call() {
    assert_seen("I3", |story| {
        let extra = crate::history::Message {
            message_type: "system".to_owned(),
            client_message_id: None,
            is_read: true,
            created_at: "1970-01-01T00:00:11.000Z".to_owned(),
            ..message(6)
        };
        for (who, ear) in [("ann", "p0.d0"), ("bob", "p1.d0")] {
            let at = story
                .records
                .iter()
                .rposition(|record| is_heard(record, ear, 5));
            let mut record = story.records[at.unwrap()].clone();
            record.event = super::story::heard(who, 1, &extra);
            story.records.insert(at.unwrap() + 1, record);
        }
        let key = TALK.to_owned();
        story.note(30 * S, "suite", Event::Row { key, result: extra });
    });
}

#[test]
fn i6_sees_what_overtook_something_confirmed_before() {
    assert_seen("I6", |story| {
        // Message 1 was sent when message 2 had been confirmed.
        story.sent(1, |record| {
            (record.t_invoke, record.t_done) = (3 * S + 500, Some(3 * S + 600));
        });
    });
}

#[test]
fn i6_allows_any_order_of_what_was_on_its_way_at_the_same_time() {
    assert_allowed(|story| {
        story.sent(1, |record| {
            (record.t_invoke, record.t_done) = (3 * S, Some(3 * S + 600));
        });
    });
}

#[test]
fn i7_sees_two_messages_of_a_socket_that_changed_places() {
    assert_seen("I7", |story| {
        for (seq, order) in [(3, 4), (4, 3)] {
            story.sent(seq, |record| {
                if let Event::Send { args, .. } = &mut record.event {
                    args.order = order;
                }
            });
        }
    });
}

#[test]
fn i7_allows_it_when_one_had_to_be_repeated() {
    assert_allowed(|story| {
        for (seq, order) in [(3, 4), (4, 3)] {
            story.sent(seq, |record| {
                if let Event::Send { args, .. } = &mut record.event {
                    args.order = order;
                    args.attempts += u32::from(seq == 4);
                }
            });
        }
    });
}
