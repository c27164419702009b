//! What every state of calls promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::future_not_send, reason = "a test stays on its thread")]

use std::time::Duration;

use chat_domain::{
    ChatError,
    call::{
        Change, Handed, Notice, Outcome, Party, Phase, Ringing, Route, Side, Signal, SignalKind,
        Tell, Transition,
    },
};

use super::calls_subject::{
    MemoryCalls, RULES, Shared, Subject, app, call_id, device, party, request, signal, user,
};

/// Runs each function of the suite on both states.
macro_rules! suite {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryCalls::default()).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Shared::new()).await;
            })+
        }
    };
}

suite!(
    a_call_is_accepted_once_and_ended_once,
    the_outcome_of_a_ring_nobody_answers_is_no_answer,
    who_calls_each_other_is_connected,
    a_busy_user_is_not_rung,
    a_caller_who_stays_away_cancels,
    who_comes_back_in_time_keeps_the_call,
    the_devices_of_a_silent_gateway_are_gone,
    signals_wait_until_they_may_pass,
    what_waits_for_a_call_is_bounded,
    an_end_is_remembered_for_a_while,
    a_call_that_is_declined_again_is_declined,
    a_signal_that_names_a_call_is_for_that_alone,
    a_device_that_came_later_hangs_up_without_naming_the_call,
    who_was_there_beside_a_device_does_not_take_its_place,
    a_late_notice_gives_no_second_grace,
);

fn changes(log: &[Transition]) -> Vec<Change> {
    log.iter().map(|transition| transition.change).collect()
}

async fn ring(subject: &impl Subject) {
    let ringing = subject
        .state()
        .initiate(&app(), &request(1, 0, 0, 1), RULES)
        .await;
    assert_eq!(ringing.unwrap(), Ringing::New(call_id(1)));
}

async fn a_call_is_accepted_once_and_ended_once(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;

    state.accept(&app(), &party(1, 0, 0)).await.unwrap();
    // A repeated request of the same device is the same answer.
    state.accept(&app(), &party(1, 0, 0)).await.unwrap();
    let late = state.accept(&app(), &party(1, 1, 0)).await;
    let sibling = state.hang_up(&app(), &party(1, 1, 0)).await.unwrap();
    state.hang_up(&app(), &party(0, 0, 1)).await.unwrap();
    let again = state.hang_up(&app(), &party(1, 0, 0)).await.unwrap();

    assert!(matches!(late, Err(ChatError::Conflict(_))));
    assert_eq!((sibling, again), (None, Some(call_id(1))));
    let log = subject.logged().await;
    assert_eq!(
        changes(&log),
        [
            Change::Ringing,
            Change::Accepted,
            Change::Ended(Side::Caller)
        ]
    );
    assert_eq!(log[2].call.version, 3);
    assert_eq!(log[2].call.callee.device, Some(device(1, 0)));
}

async fn the_outcome_of_a_ring_nobody_answers_is_no_answer(subject: &impl Subject) {
    ring(subject).await;
    subject.pass(RULES.ring);

    // Too late, though nobody has swept yet.
    let late = subject.state().accept(&app(), &party(1, 0, 0)).await;
    subject.state().expire(&app(), 10).await.unwrap();

    assert!(matches!(late, Err(ChatError::Conflict(_))));
    let log = subject.logged().await;
    assert_eq!(changes(&log), [Change::Ringing, Change::NoAnswer]);
}

async fn who_calls_each_other_is_connected(subject: &impl Subject) {
    ring(subject).await;

    let merged = subject
        .state()
        .initiate(&app(), &request(2, 1, 1, 0), RULES)
        .await;

    assert_eq!(merged.unwrap(), Ringing::Merged(call_id(1)));
    let log = subject.logged().await;
    assert_eq!(changes(&log), [Change::Ringing, Change::Merged]);
    assert_eq!(log[1].call.callee.device, Some(device(1, 1)));
}

async fn a_busy_user_is_not_rung(subject: &impl Subject) {
    ring(subject).await;

    let busy = subject
        .state()
        .initiate(&app(), &request(2, 2, 0, 1), RULES)
        .await;

    assert_eq!(busy.unwrap(), Ringing::Busy(call_id(2)));
    let log = subject.logged().await;
    assert_eq!(log[1].call.phase, Phase::Over(Outcome::Busy));
    let first = subject.state().find(&app(), call_id(1)).await.unwrap();
    assert_eq!(first.unwrap().phase, Phase::Ringing);
}

async fn a_caller_who_stays_away_cancels(subject: &impl Subject) {
    ring(subject).await;

    subject
        .state()
        .gone(&app(), &user(0), device(0, 0), Duration::ZERO)
        .await
        .unwrap();
    subject.pass(RULES.grace);
    subject.state().expire(&app(), 10).await.unwrap();

    let log = subject.logged().await;
    assert_eq!(changes(&log), [Change::Ringing, Change::Cancelled]);
}

async fn who_comes_back_in_time_keeps_the_call(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;
    state
        .gone(&app(), &user(0), device(0, 0), Duration::ZERO)
        .await
        .unwrap();
    state.accept(&app(), &party(1, 0, 0)).await.unwrap();

    let told = state
        .back(&app(), &user(0), device(0, 1), None, Duration::ZERO)
        .await
        .unwrap();
    subject.pass(RULES.grace);
    state.expire(&app(), 10).await.unwrap();

    let tells: Vec<Tell> = told
        .notices
        .iter()
        .map(|notice: &Notice| notice.tell)
        .collect();
    assert_eq!(tells, [Tell::Accepted]);
    let call = state.find(&app(), call_id(1)).await.unwrap().unwrap();
    assert_eq!(call.phase, Phase::Connected);
    assert_eq!(call.caller.device, Some(device(0, 1)));
}

async fn the_devices_of_a_silent_gateway_are_gone(subject: &impl Subject) {
    let (state, apps) = (subject.state(), [app()]);
    ring(subject).await;
    let gateways = [device(0, 0).gateway, device(1, 1).gateway];
    state.alive(gateways[0]).await.unwrap();
    state.accept(&app(), &party(1, 1, 0)).await.unwrap();
    state.alive(gateways[1]).await.unwrap();
    // Silence counts while somebody listens.
    state.bury(&apps).await.unwrap();

    subject.pass(Duration::from_secs(5));
    state.alive(gateways[1]).await.unwrap();
    subject.pass(Duration::from_secs(5));
    state.bury(&apps).await.unwrap();

    let call = state.find(&app(), call_id(1)).await.unwrap().unwrap();
    assert!(call.caller.gone_since.is_some());
    assert_eq!(call.callee.gone_since, None);

    // Told to a device whose gateway may have been dead by then.
    let told = state
        .back(&app(), &user(0), device(0, 1), None, Duration::ZERO)
        .await
        .unwrap();
    let tells: Vec<Tell> = told
        .notices
        .iter()
        .map(|notice: &Notice| notice.tell)
        .collect();
    assert_eq!(tells, [Tell::Accepted]);
}

async fn hand_over(subject: &impl Subject, side: Side) -> Option<Handed> {
    let state = subject.state();
    let call = state.find(&app(), call_id(1)).await.unwrap()?;
    let handed = state.waiting(&app(), &call, side).await.unwrap()?;
    state.handed(&app(), &handed).await.unwrap();
    Some(handed)
}

fn payloads(handed: &Handed) -> Vec<&str> {
    handed.signals.iter().map(Signal::payload).collect()
}

async fn signals_wait_until_they_may_pass(subject: &impl Subject) {
    let state = subject.state();
    let (caller, callee, sibling) = (party(0, 0, 1), party(1, 1, 0), party(1, 0, 0));
    let astray = party(0, 0, 2);
    let send = async |party, kind, payload| {
        let signal = signal(kind, payload);
        state.signal(&app(), party, &signal).await.unwrap()
    };

    assert_eq!(
        send(&caller, SignalKind::Candidate, "c1 é").await,
        Route::Parked
    );
    assert_eq!(send(&caller, SignalKind::Offer, "o1").await, Route::Parked);
    ring(subject).await;
    assert_eq!(send(&caller, SignalKind::Offer, "o2").await, Route::Parked);
    assert_eq!(
        send(&caller, SignalKind::Candidate, "c2").await,
        Route::Parked
    );
    assert_eq!(
        send(&callee, SignalKind::Candidate, "early").await,
        Route::Parked
    );
    assert_eq!(
        send(&sibling, SignalKind::Answer, "other").await,
        Route::Parked
    );
    assert_eq!(hand_over(subject, Side::Caller).await, None);
    state.accept(&app(), &callee).await.unwrap();
    // Nothing overtakes what waits.
    assert_eq!(
        send(&caller, SignalKind::Candidate, "c3").await,
        Route::Parked
    );

    let handed = hand_over(subject, Side::Caller).await.unwrap();
    assert_eq!(payloads(&handed), ["o2", "c1 é", "c2", "c3"]);
    assert_eq!((handed.first, &handed.to), (1, &(user(1), device(1, 1))));
    assert_eq!(hand_over(subject, Side::Caller).await, None);
    let handed = hand_over(subject, Side::Callee).await.unwrap();
    assert_eq!(payloads(&handed), ["early"]);
    let route = Route::Relay {
        call: call_id(1),
        to: (user(1), device(1, 1)),
        place: 5,
    };
    assert_eq!(send(&caller, SignalKind::Candidate, "c4").await, route);
    assert_eq!(
        send(&sibling, SignalKind::Answer, "x").await,
        Route::Dropped
    );
    assert_eq!(send(&astray, SignalKind::Offer, "x").await, Route::Dropped);
}

async fn what_waits_for_a_call_is_bounded(subject: &impl Subject) {
    let state = subject.state();
    let mut n_parked = 0;
    for _ in 0..80 {
        let candidate = signal(SignalKind::Candidate, "c");
        match state.signal(&app(), &party(0, 0, 1), &candidate).await {
            Ok(route) => {
                assert_eq!(route, Route::Parked);
                n_parked += 1;
            }
            Err(error) => assert!(matches!(error, ChatError::TooLarge(_))),
        }
    }

    assert_eq!(n_parked, 64);
}

async fn an_end_is_remembered_for_a_while(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;
    state.hang_up(&app(), &party(0, 0, 1)).await.unwrap();

    let late = state.accept(&app(), &party(1, 0, 0)).await;
    subject.pass(Duration::from_secs(121));
    state.expire(&app(), 10).await.unwrap();
    let too_late = state.accept(&app(), &party(1, 0, 0)).await;

    assert!(matches!(late, Err(ChatError::Conflict(_))));
    assert!(matches!(too_late, Err(ChatError::CallNotFound)));
}

async fn a_call_that_is_declined_again_is_declined(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;

    let first = state.reject(&app(), &party(1, 0, 0), None).await;
    let again = state.reject(&app(), &party(1, 0, 0), None).await;
    let late = state.accept(&app(), &party(1, 0, 0)).await;

    assert_eq!(first.unwrap(), call_id(1));
    assert_eq!(again.unwrap(), call_id(1));
    assert!(matches!(late, Err(ChatError::Conflict(_))));
    assert_eq!(subject.logged().await.len(), 2);
}

async fn a_signal_that_names_a_call_is_for_that_alone(subject: &impl Subject) {
    let state = subject.state();
    let candidate = signal(SignalKind::Candidate, "late");
    let of_call = |n| Party {
        call: Some(call_id(n)),
        ..party(0, 0, 1)
    };
    let route = async |n| state.signal(&app(), &of_call(n), &candidate).await.unwrap();
    ring(subject).await;
    state.hang_up(&app(), &party(0, 0, 1)).await.unwrap();
    let after = route(1).await;
    let request = request(2, 0, 0, 1);
    state.initiate(&app(), &request, RULES).await.unwrap();

    assert_eq!(after, Route::Dropped);
    assert_eq!(route(1).await, Route::Dropped);
    assert_eq!(route(2).await, Route::Parked);
    state.accept(&app(), &party(1, 0, 0)).await.unwrap();
    assert_eq!(route(1).await, Route::Dropped);
}

async fn a_device_that_came_later_hangs_up_without_naming_the_call(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;
    subject.pass(Duration::from_secs(10));
    state.accept(&app(), &party(1, 0, 0)).await.unwrap();
    subject.pass(Duration::from_secs(10));
    let after = async |seconds| {
        let party = Party {
            age: Duration::from_secs(seconds),
            ..party(1, 1, 0)
        };
        state.hang_up(&app(), &party).await.unwrap()
    };

    let beside = after(15).await;
    let since = after(5).await;

    assert_eq!((beside, since), (None, Some(call_id(1))));
    let moved = Change::Moved(device(1, 0));
    let ended = Change::Ended(Side::Callee);
    assert_eq!(changes(&subject.logged().await)[2..], [moved, ended]);
}

async fn who_was_there_beside_a_device_does_not_take_its_place(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;
    subject.pass(Duration::from_secs(30));
    let (old, other, new) = (device(0, 0), device(0, 1), device(0, 2));
    state
        .gone(&app(), &user(0), old, Duration::ZERO)
        .await
        .unwrap();
    let back = async |device, seconds| {
        let age = Duration::from_secs(seconds);
        let told = state.back(&app(), &user(0), device, None, age).await;
        told.unwrap();
        let call = state.find(&app(), call_id(1)).await.unwrap().unwrap();
        call.caller.device
    };

    assert_eq!(back(other, 40).await, Some(old));
    assert_eq!(back(new, 20).await, Some(new));
}

async fn a_late_notice_gives_no_second_grace(subject: &impl Subject) {
    let state = subject.state();
    ring(subject).await;
    subject.pass(Duration::from_secs(200));

    let ago = Duration::from_secs(100);
    state
        .gone(&app(), &user(0), device(0, 0), ago)
        .await
        .unwrap();

    let call = state.find(&app(), call_id(1)).await.unwrap().unwrap();
    let gone_since = call.caller.gone_since.unwrap();
    assert!(gone_since < call.started_at.after(Duration::from_secs(150)));
    assert_eq!(call.caller.heard_until, Some(gone_since));
}
