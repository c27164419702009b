//! Single rules, each on a board of its own.

use std::{collections::HashMap, time::Duration};

use chat_domain::{
    ChatError, Timestamp,
    call::{
        CallId, CallRules, Change, Found, Heard, Outcome, Party, Phase, Recipient, Ringing, Route,
        Side, Signal, SignalKind, Switchboard, Tell,
    },
};
use uuid::Uuid;

use super::{RULES, device, request, user};

/// A board on which user 0 rings user 1.
fn ringing() -> Switchboard {
    let mut board = Switchboard::default();
    board
        .initiate(&request(0, 0, 0, 1), RULES, Timestamp(0), &mut Vec::new())
        .unwrap();
    board
}

fn callee(n: usize) -> Party {
    Party {
        user: user(1),
        device: device(1, n),
        peer: user(0),
        call: None,
        age: Duration::MAX,
        n: 0,
    }
}

#[test]
fn a_stranger_cannot_touch_a_call() {
    let mut board = ringing();
    let before = board.clone();
    let stranger = Party {
        user: user(2),
        device: device(2, 0),
        peer: user(0),
        call: Some(CallId(Uuid::nil())),
        age: Duration::MAX,
        n: 0,
    };
    let wrong_peer = Party {
        peer: user(2),
        ..callee(0)
    };
    let caller = Party {
        user: user(0),
        device: device(0, 0),
        peer: user(1),
        call: None,
        age: Duration::MAX,
        n: 0,
    };

    for party in [&stranger, &wrong_peer] {
        let log = &mut Vec::new();
        let refused = board.accept(party, Timestamp(0), log);
        assert!(matches!(refused, Err(ChatError::CallNotFound)));
        let refused = board.hang_up(party, Timestamp(0), log);
        assert!(matches!(refused, Err(ChatError::CallNotFound)));
    }
    let refused = board.accept(&caller, Timestamp(0), &mut Vec::new());
    assert!(matches!(refused, Err(ChatError::Forbidden(_))));
    assert_eq!(board, before);
}

#[test]
fn who_was_away_is_told_once_what_was_missed() {
    let mut board = ringing();
    let log = &mut Vec::new();
    board.gone(&user(0), device(0, 0), Duration::ZERO, Timestamp(0), log);
    board.accept(&callee(0), Timestamp(0), log).unwrap();

    let told = board.back(
        &user(0),
        device(0, 1),
        None,
        Duration::ZERO,
        Timestamp(0),
        log,
    );

    assert_eq!(told.notices.len(), 1);
    assert_eq!(told.notices[0].tell, Tell::Accepted);
    assert_eq!(told.notices[0].to, Recipient::Device(user(0), device(0, 1)));
    let again = board.back(
        &user(0),
        device(0, 0),
        None,
        Duration::ZERO,
        Timestamp(0),
        log,
    );
    assert_eq!(again, Found::default());
}

#[test]
fn who_was_lost_is_told_what_was_said_into_the_void() {
    let mut board = ringing();
    let log = &mut Vec::new();
    board.accept(&callee(0), Timestamp(1), log).unwrap();
    board.lost(&user(0), device(0, 0), Timestamp(0), Timestamp(2), log);

    let told = board.back(
        &user(0),
        device(0, 1),
        None,
        Duration::ZERO,
        Timestamp(2),
        log,
    );

    assert_eq!(told.notices.len(), 1);
    assert_eq!(told.notices[0].tell, Tell::Accepted);
    board.gone(&user(0), device(0, 1), Duration::ZERO, Timestamp(2), log);
    assert_eq!(
        board
            .back(
                &user(0),
                device(0, 0),
                None,
                Duration::ZERO,
                Timestamp(2),
                log
            )
            .notices,
        []
    );
}

#[test]
fn a_recovered_session_takes_the_place_of_the_one_it_continues() {
    let mut board = ringing();
    let log = &mut Vec::new();
    let (old, new) = (device(0, 0), device(0, 1));

    let told = board.back(&user(0), new, Some(old), Duration::ZERO, Timestamp(1), log);

    let call = board.call_of(&user(0)).unwrap();
    let goes_on = Some(Heard {
        call: call.id,
        version: 1,
        is_connected: false,
    });
    let notices = vec![];
    assert_eq!(told, Found { notices, goes_on });
    assert_eq!(call.caller.device, Some(new));
    board.gone(&user(0), old, Duration::ZERO, Timestamp(1), log);
    assert_eq!(board.call_of(&user(0)).unwrap().caller.gone_since, None);
}

#[test]
fn the_call_goes_on_where_its_caller_rings_again() {
    let mut board = ringing();
    let mut log = Vec::new();

    let ringing = board.initiate(&request(1, 0, 1, 1), RULES, Timestamp(1), &mut log);

    let id = CallId(Uuid::nil());
    assert_eq!(ringing.unwrap(), Ringing::Already(id));
    assert_eq!(log[0].change, Change::Moved(device(0, 0)));
    assert_eq!(board.call(id).unwrap().caller.device, Some(device(0, 1)));
}

#[test]
fn a_call_ends_wherever_its_user_names_it() {
    let mut board = ringing();
    let log = &mut Vec::new();
    board.accept(&callee(0), Timestamp(1), log).unwrap();
    let id = CallId(Uuid::nil());
    let elsewhere = |call| Party { call, ..callee(1) };

    let unnamed = board.hang_up(&elsewhere(None), Timestamp(2), log);
    assert_eq!(unnamed.unwrap(), None);
    log.clear();
    let named = board.hang_up(&elsewhere(Some(id)), Timestamp(2), log);

    assert_eq!(named.unwrap(), Some(id));
    let [moved, ended] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert_eq!(ended.change, Change::Ended(Side::Callee));
    let left = Recipient::Device(user(1), device(1, 0));
    assert!(moved.notices().iter().any(|notice| notice.to == left));
}

#[test]
fn who_is_back_has_time_to_be_announced_however_late_it_is_known_that_they_went() {
    let rules = CallRules {
        ring: Duration::from_secs(45),
        grace: Duration::from_secs(10),
    };
    let outcome = |ago, after| {
        let mut board = Switchboard::default();
        let log = &mut Vec::new();
        let request = request(0, 0, 0, 1);
        board.initiate(&request, rules, Timestamp(0), log).unwrap();
        let now = Timestamp(20_000);
        let ago = Duration::from_millis(ago);
        board.gone(&user(0), device(0, 0), ago, now, log);
        board.expire(now.after(Duration::from_millis(after)), log);
        board.call(CallId(Uuid::nil())).unwrap().phase
    };

    assert_eq!(outcome(4_000, 5_999), Phase::Ringing);
    assert_eq!(outcome(4_000, 6_000), Phase::Over(Outcome::Cancelled));
    assert_eq!(outcome(15_000, 2_999), Phase::Ringing);
    assert_eq!(outcome(15_000, 3_000), Phase::Over(Outcome::Cancelled));
}

#[test]
fn a_device_that_came_since_the_answer_hangs_up_without_naming_the_call() {
    let mut board = ringing();
    let log = &mut Vec::new();
    board.accept(&callee(0), Timestamp(1), log).unwrap();
    let aged = |age| Party {
        age: Duration::from_millis(age),
        ..callee(1)
    };

    let beside = board.hang_up(&aged(2), Timestamp(2), log).unwrap();
    let since = board.hang_up(&aged(1), Timestamp(2), log).unwrap();

    assert_eq!((beside, since), (None, Some(CallId(Uuid::nil()))));
}

#[test]
fn the_earliest_deadline_decides_however_late_it_is_seen() {
    let mut board = ringing();
    let log = &mut Vec::new();
    board.gone(&user(0), device(0, 0), Duration::ZERO, Timestamp(0), log);

    board.expire(Timestamp(1_000), log);

    assert_eq!(log[0].change, Change::Cancelled);
}

#[test]
fn signals_wait_for_the_call_they_are_meant_for_and_not_for_ever() {
    let signal = |board: &mut Switchboard, at, kind| {
        let party = Party {
            user: user(0),
            device: device(0, 0),
            peer: user(1),
            call: None,
            age: Duration::MAX,
            n: 0,
        };
        let signal = Signal::new(kind, "").unwrap();
        board
            .signal(&party, signal, Timestamp(at), &mut Vec::new())
            .unwrap();
    };
    let heard = |early| {
        let mut board = Switchboard::default();
        signal(&mut board, 0, SignalKind::Candidate);
        signal(&mut board, 1, SignalKind::Offer);
        let log = &mut Vec::new();
        let request = request(0, 0, 0, 1);
        board
            .initiate(&request, RULES, Timestamp(early), log)
            .unwrap();
        board.accept(&callee(0), Timestamp(early), log).unwrap();
        let handed = board.waiting(CallId(Uuid::nil()), Side::Caller);
        handed.map(|handed| handed.signals.iter().map(Signal::kind).collect::<Vec<_>>())
    };

    assert_eq!(
        heard(29_999),
        Some(vec![SignalKind::Offer, SignalKind::Candidate])
    );
    assert_eq!(heard(30_000), None);
}

#[test]
fn a_late_candidate_does_not_wait_for_the_next_call() {
    let mut board = ringing();
    let log = &mut Vec::new();
    board.hang_up(&callee(0), Timestamp(1), log).unwrap();
    let candidate = Signal::new(SignalKind::Candidate, "").unwrap();

    let route = board
        .signal(&callee(0), candidate, Timestamp(1), log)
        .unwrap();

    assert_eq!(route, Route::Dropped);
}

#[test]
fn too_many_candidates_are_refused() {
    let mut board = ringing();
    let mut refused = HashMap::new();
    for n in 0..100 {
        let candidate = Signal::new(SignalKind::Candidate, "").unwrap();
        let route = board.signal(&callee(0), candidate, Timestamp(0), &mut Vec::new());
        refused.insert(n, matches!(route, Err(ChatError::TooLarge(_))));
    }

    assert_eq!(refused.values().filter(|refused| **refused).count(), 36);
}
