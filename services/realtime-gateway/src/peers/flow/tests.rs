//! Flow control over a stream between gateways: what is sent, what waits, what is let go.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::*;

fn pair() -> (Flow, Flow) {
    (Flow::opening(), Flow::opened())
}

/// Hands all that is due from one to the other.
fn pass(from: &mut Flow, to: &mut Flow, now: Instant) -> usize {
    let mut n = 0;
    while let Some(segment) = from.next(now) {
        to.hear(&segment, now);
        n += 1;
    }
    n
}

#[test]
fn what_the_other_end_does_not_use_holds_the_sender_back() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    let much = vec![7; 4 * WINDOW];
    assert_eq!(a.write(&much), WINDOW);
    pass(&mut a, &mut b, now);
    assert_eq!(a.write(&much), WINDOW);

    let n = pass(&mut a, &mut b, now);

    assert_eq!((n, a.room(), b.arrived().len()), (0, 0, WINDOW));
    b.take(WINDOW / 2);
    pass(&mut b, &mut a, now);
    pass(&mut a, &mut b, now);
    assert_eq!((a.room(), b.arrived().len()), (WINDOW / 2, WINDOW));
}

#[test]
fn a_hole_ends_both_ends() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.write(b"one");
    a.next(now).unwrap();
    a.write(b"two");

    pass(&mut a, &mut b, now);
    pass(&mut b, &mut a, now);

    assert_eq!(b.failure(), Some(Failure::Lost));
    assert_eq!(a.failure(), Some(Failure::Reset));
    assert!(b.arrived().is_empty());
}

#[test]
fn a_segment_that_comes_twice_counts_once() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.write(b"one");
    let segment = a.next(now).unwrap();

    b.hear(&segment, now);
    b.hear(&segment, now);

    assert_eq!((b.arrived(), b.failure()), (&b"one"[..], None));
}

#[test]
fn the_loss_of_the_last_segment_is_noticed() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.write(b"one");
    a.next(now).unwrap();

    a.tick(now + DOUBT);
    pass(&mut a, &mut b, now);

    assert_eq!(b.failure(), Some(Failure::Lost));
}

#[test]
fn an_end_that_hears_nothing_gives_up() {
    let now = Instant::now();
    let (mut a, _) = pair();
    a.write(b"one");
    a.next(now).unwrap();

    a.tick(now + DOUBT);
    assert_eq!(a.failure(), None);
    a.tick(now + PATIENCE);

    assert_eq!(a.failure(), Some(Failure::Lost));
}

#[test]
fn an_end_that_reads_slowly_is_not_taken_for_dead() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.write(b"one");
    pass(&mut a, &mut b, now);

    b.tick(now);
    pass(&mut b, &mut a, now);
    a.tick(now + 2 * PATIENCE);

    assert_eq!((a.failure(), b.arrived()), (None, &b"one"[..]));
}

#[test]
fn both_ends_are_over_when_both_have_ended() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.write(b"question");
    a.end();
    pass(&mut a, &mut b, now);
    b.write(b"answer");
    b.end();
    b.take(8);
    b.abandon(now);
    assert!(!b.is_over());

    pass(&mut b, &mut a, now);
    assert_eq!(a.arrived(), b"answer");
    a.take(6);
    assert!(a.is_at_end());
    a.abandon(now);
    pass(&mut a, &mut b, now);

    assert!(a.is_over() && b.is_over());
    assert_eq!((a.failure(), b.failure()), (None, None));
}

#[test]
fn an_end_that_is_dropped_takes_the_other_with_it() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.write(b"question");
    pass(&mut a, &mut b, now);

    a.abandon(now);
    pass(&mut a, &mut b, now);

    assert!(a.is_over());
    assert_eq!(b.failure(), Some(Failure::Reset));
}

#[test]
fn an_end_that_was_abandoned_does_not_wait_for_ever() {
    let now = Instant::now();
    let (mut a, mut b) = pair();
    a.end();
    pass(&mut a, &mut b, now);
    b.tick(now);
    pass(&mut b, &mut a, now);
    a.abandon(now);

    a.tick(now + PATIENCE);
    pass(&mut a, &mut b, now);

    assert!(a.is_over());
    assert_eq!(b.failure(), Some(Failure::Reset));
}

#[test]
fn an_end_that_breaks_the_window_is_cut_off() {
    let now = Instant::now();
    let (_, mut b) = pair();

    b.hear(
        &v1::Segment {
            data: vec![0; WINDOW + 1].into(),
            ..v1::Segment::default()
        },
        now,
    );

    assert_eq!(b.failure(), Some(Failure::Lost));
    assert!(b.next(now).unwrap().resets);
}

/// What happens to a segment.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrive,
    Lose,
    Double,
    Swap,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        20 => Just(Fate::Arrive),
        1 => Just(Fate::Lose),
        2 => Just(Fate::Double),
        1 => Just(Fate::Swap),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_on_the_way_what_is_read_is_a_prefix_of_what_was_written(
        writes in vec(1_usize..20_000, 1..12),
        fates in vec(fate(), 1..60),
    ) {
        let mut now = Instant::now();
        let (mut a, mut b) = pair();
        let written = (0..=250).cycle().take(writes.iter().sum()).collect::<Vec<_>>();
        let mut unwritten = &written[..];
        let mut read = Vec::new();
        let mut fates = fates.into_iter().chain(std::iter::repeat(Fate::Arrive));
        let mut is_whole = true;

        for n in writes.into_iter().chain(std::iter::repeat_n(WINDOW, 100)) {
            let n = a.write(&unwritten[..n.min(unwritten.len())]);
            unwritten = &unwritten[n..];
            if unwritten.is_empty() {
                a.end();
            }
            let mut way = VecDeque::new();
            while let Some(segment) = a.next(now) {
                match fates.next().unwrap() {
                    Fate::Arrive => way.push_back(segment),
                    Fate::Lose => is_whole = false,
                    Fate::Double => way.extend([segment.clone(), segment]),
                    Fate::Swap => {
                        is_whole &= way.is_empty();
                        way.push_front(segment);
                    }
                }
            }
            for segment in way {
                b.hear(&segment, now);
            }
            read.extend_from_slice(b.arrived());
            b.take(usize::MAX);
            b.tick(now);
            pass(&mut b, &mut a, now);
            now += Duration::from_millis(200);
            a.tick(now);
            if b.is_at_end() || b.failure().is_some() || a.failure().is_some() {
                break;
            }
        }

        prop_assert!(written.starts_with(&read));
        if is_whole {
            prop_assert_eq!(read, written);
            prop_assert_eq!((a.failure(), b.failure()), (None, None));
        } else {
            prop_assert!(a.failure().is_some());
        }
    }
}
