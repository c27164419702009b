//! What every state of calls promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::future_not_send, reason = "a test stays on its thread")]

use std::time::Duration;

use chat_domain::{
    ChatError, Timestamp,
    call::{
        Call, Change, Handed, Notice, Outcome, Party, Phase, Ringing, Route, Side, Signal,
        SignalKind, Tell, Transition,
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
        .gone(&app(), &user(0), device(0, 0))
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
    state.gone(&app(), &user(0), device(0, 0)).await.unwrap();
    state.accept(&app(), &party(1, 0, 0)).await.unwrap();

    let told = state
        .back(&app(), &user(0), device(0, 1), None)
        .await
        .unwrap();
    subject.pass(RULES.grace);
    state.expire(&app(), 10).await.unwrap();

    let tells: Vec<Tell> = told.iter().map(|notice: &Notice| notice.tell).collect();
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
        .back(&app(), &user(0), device(0, 1), None)
        .await
        .unwrap();
    let tells: Vec<Tell> = told.iter().map(|notice: &Notice| notice.tell).collect();
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

/// A small generator: the same seed gives the same requests.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }
}

/// The same random request to both, as text that does not depend on clocks.
async fn act(subject: &impl Subject, seed: u64, n: u128) -> String {
    let (state, app) = (subject.state(), app());
    let random = &mut Random(seed);
    // Multiples of 7 s stay clear of all deadlines, whatever the server's clock adds.
    let jumps = [0, 0, 0, 0, 0, 7, 14, 35, 140, 350];
    subject.pass(Duration::from_secs(jumps[random.below(jumps.len())]) + Duration::from_millis(5));
    let who = random.below(3);
    let (d, peer) = (random.below(2), (who + 1 + random.below(2)) % 3);
    let mut party = party(who, d, peer);
    if random.below(4) == 0 {
        party.call = Some(call_id(n.saturating_sub(1 + random.below(3) as u128)));
    }
    match random.below(14) {
        0..3 => {
            let request = request(n, who, d, peer);
            format!("{:?}", state.initiate(&app, &request, RULES).await)
        }
        3..5 => format!("{:?}", state.accept(&app, &party).await),
        5 => format!("{:?}", state.reject(&app, &party, Some("no".into())).await),
        6 => format!("{:?}", state.hang_up(&app, &party).await),
        7 => format!("{:?}", state.gone(&app, &user(who), device(who, d)).await),
        8 => {
            let replaces = (random.below(3) == 0).then(|| device(who, 1 - d));
            format!(
                "{:?}",
                state.back(&app, &user(who), device(who, d), replaces).await
            )
        }
        9..12 => {
            let kinds = [SignalKind::Offer, SignalKind::Answer, SignalKind::Candidate];
            let signal = signal(kinds[random.below(3)], &n.to_string());
            format!("{:?}", state.signal(&app, &party, &signal).await)
        }
        12 => {
            let side = [Side::Caller, Side::Callee][random.below(2)];
            let id = call_id(n.saturating_sub(1 + random.below(4) as u128));
            let Some(call) = state.find(&app, id).await.unwrap() else {
                return "no such call".to_owned();
            };
            let waiting = state.waiting(&app, &call, side).await.unwrap();
            if let Some(handed) = &waiting {
                state.handed(&app, handed).await.unwrap();
            }
            let signals = waiting.as_ref().map(payloads).map(|all| all.join(","));
            format!("{signals:?} {waiting:?}")
        }
        _ => {
            state.expire(&app, 1_000).await.unwrap();
            String::new()
        }
    }
}

/// The call without its clock readings.
fn timeless(call: &Call) -> Call {
    let set = |moment: Option<Timestamp>| moment.map(|_| Timestamp(0));
    let mut call = call.clone();
    (call.started_at, call.rings_until) = (Timestamp(0), Timestamp(0));
    call.answered_at = set(call.answered_at);
    call.ended_at = set(call.ended_at);
    call.caller.heard_until = set(call.caller.heard_until);
    call.callee.heard_until = set(call.callee.heard_until);
    call.caller.gone_since = set(call.caller.gone_since);
    call.callee.gone_since = set(call.callee.gone_since);
    call
}

fn timeless_log(mut log: Vec<Transition>) -> Vec<(Call, Change)> {
    // Of calls that end in one sweep, either may be first.
    log.sort_by_key(|transition| (transition.call.id, transition.call.version));
    log.iter()
        .map(|transition| (timeless(&transition.call), transition.change))
        .collect()
}

#[tokio::test]
async fn the_functions_do_what_the_rules_say() {
    for first_seed in 1..=12_u64 {
        let (memory, shared) = (MemoryCalls::default(), Shared::new());
        let seeds = &mut Random(first_seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut history = Vec::new();
        for n in 1..=120 {
            seeds.below(1);
            let said = act(&shared, seeds.0, n).await;
            history.push(format!("{n}: {said}"));
            let expected = act(&memory, seeds.0, n).await;
            assert_eq!(said, expected, "seed {first_seed}: {history:#?}");
            for id in n.saturating_sub(5)..=n {
                let stored = shared.state().find(&app(), call_id(id)).await.unwrap();
                let rule = memory.state().find(&app(), call_id(id)).await.unwrap();
                assert_eq!(
                    stored.as_ref().map(timeless),
                    rule.as_ref().map(timeless),
                    "seed {first_seed}: {history:#?}"
                );
            }
        }
        let logged = timeless_log(shared.logged().await);
        assert_eq!(
            logged,
            timeless_log(memory.logged().await),
            "seed {first_seed}"
        );
    }
}
