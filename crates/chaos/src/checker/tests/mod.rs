//! Doctored histories: a small clean one passes, and each of its distortions is seen by the invariant
//! that it is against.

mod calls;
mod messages;
mod others;
mod reads;
mod story;
mod streams;

use super::check;
use story::Story;

/// Asserts that what `distort` does to a clean history is seen, by that invariant and no other.
#[track_caller]
fn assert_seen(invariant: &str, distort: impl FnOnce(&mut Story)) {
    let mut story = Story::clean();
    distort(&mut story);

    let violations = check(&story.records);
    let seen: Vec<_> = violations
        .iter()
        .map(|violation| violation.invariant)
        .collect();

    assert!(
        !seen.is_empty() && seen.iter().all(|seen| *seen == invariant),
        "{invariant} was to see it: {violations:#?}"
    );
}

/// Asserts that what `change` does to a clean history is allowed.
#[track_caller]
fn assert_allowed(change: impl FnOnce(&mut Story)) {
    let mut story = Story::clean();
    change(&mut story);

    let violations = check(&story.records);

    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_clean_history_has_no_violations() {
    assert_allowed(|_| {});
}

#[test]
fn a_history_survives_being_written_and_read() {
    let story = Story::clean();
    let lines: Vec<_> = story
        .records
        .iter()
        .map(|r| serde_json::to_string(r).unwrap())
        .collect();

    let read: Vec<crate::history::Record> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    assert!(check(&read).is_empty());
    let again: Vec<_> = read
        .iter()
        .map(|r| serde_json::to_string(r).unwrap())
        .collect();
    assert_eq!(lines, again);
}
