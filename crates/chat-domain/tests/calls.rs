//! Every order of events that a small world of calls can see.
//!
//! States that were seen before are not entered again, so the search ends. A second, smaller world
//! adds the signals.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use chat_domain::{
    ChatError, ConversationId, Timestamp, UserId,
    call::{
        Call, CallId, CallKind, CallRules, Change, DeviceId, GatewayId, Initiate, Notice, Outcome,
        Party, Phase, Recipient, Ringing, Route, Side, Signal, SignalKind, Switchboard, Tell,
        Transition,
    },
};
use uuid::Uuid;

const RULES: CallRules = CallRules {
    ring: Duration::from_millis(2),
    grace: Duration::from_millis(1),
};
/// The longest histories looked at, in events.
const DEPTH: usize = 5;
const SIGNAL_DEPTH: usize = 6;

/// The users, and how many devices each has.
const DEVICES: [usize; 3] = [2, 2, 1];

#[derive(Debug, Clone, Copy)]
enum Step {
    Initiate(usize, usize, usize),
    Accept(usize, usize),
    Reject(usize, usize),
    HangUp(usize, usize),
    Disconnect(usize, usize),
    Connect(usize, usize),
    Signal(usize, usize, SignalKind),
    /// A replica passes on what waited.
    HandOver(Side),
    /// A replica looks for what is due; as often as any number of replicas would.
    Sweep,
    Tick,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    board: Switchboard,
    connected: [[bool; 2]; 3],
    now: i64,
    n_initiated: u128,
    n_signals: usize,
}

/// What a step made known.
#[derive(Default)]
struct Told {
    transitions: Vec<Transition>,
    notices: Vec<Notice>,
    /// What reached a device: its sender, the place, and the signal.
    heard: Vec<(CallId, UserId, DeviceId, u64, SignalKind)>,
}

fn user(n: usize) -> UserId {
    UserId::new(&format!("user-{n}")).unwrap()
}

fn device(user: usize, n: usize) -> DeviceId {
    DeviceId {
        gateway: GatewayId(1),
        socket: (user * 2 + n) as u64,
    }
}

fn start() -> World {
    World {
        board: Switchboard::default(),
        connected: [[true; 2]; 3],
        now: 0,
        n_initiated: 0,
        n_signals: 0,
    }
}

/// The party that a client would be: it speaks of the call that its user is or was in.
fn party(board: &Switchboard, who: usize, n: usize) -> Option<Party> {
    let me = user(who);
    let call = board
        .calls()
        .filter(|call| call.phase != Phase::Over(Outcome::Busy))
        .filter(|call| call.side_of(&me).is_some())
        .max_by_key(|call| call.id)?;
    let side = call.side_of(&me)?;
    Some(Party {
        user: me,
        device: device(who, n),
        peer: call.leg(side.other()).user.clone(),
        call: None,
        age: Duration::MAX,
        n: 0,
    })
}

fn request(n: u128, caller: usize, device_n: usize, callee: usize) -> Initiate {
    Initiate {
        call: CallId(Uuid::from_u128(n)),
        caller: user(caller),
        device: device(caller, device_n),
        callee: user(callee),
        conversation: ConversationId(Uuid::nil()),
        kind: CallKind::Audio,
        n: 0,
    }
}

fn take(world: &World, step: Step) -> (World, Told) {
    let mut next = world.clone();
    let mut told = Told::default();
    let now = Timestamp(world.now);
    let log = &mut told.transitions;
    match step {
        Step::Initiate(caller, n, callee) => {
            let request = request(world.n_initiated, caller, n, callee);
            let ringing = next.board.initiate(&request, RULES, now, log);
            if matches!(ringing, Ok(Ringing::New(_) | Ringing::Busy(_))) {
                next.n_initiated += 1;
            }
        }
        // A refusal changes nothing: `check` sees that it does not.
        Step::Accept(who, n) => {
            party(&world.board, who, n).map(|party| next.board.accept(&party, now, log));
        }
        Step::Reject(who, n) => {
            party(&world.board, who, n).map(|party| next.board.reject(&party, None, now, log));
        }
        Step::HangUp(who, n) => {
            party(&world.board, who, n).map(|party| next.board.hang_up(&party, now, log));
        }
        Step::Disconnect(who, n) => {
            next.connected[who][n] = false;
            next.board
                .gone(&user(who), device(who, n), Duration::ZERO, now, log);
        }
        Step::Connect(who, n) => {
            next.connected[who][n] = true;
            let device = device(who, n);
            told.notices = next
                .board
                .back(&user(who), device, None, Duration::ZERO, now, log);
        }
        Step::Signal(who, n, kind) => {
            let signal = Signal::new(kind, &world.n_signals.to_string()).unwrap();
            next.n_signals += 1;
            let party = Party {
                user: user(who),
                device: device(who, n),
                peer: user(1 - who),
                call: None,
                age: Duration::MAX,
                n: 0,
            };
            let route = next.board.signal(&party, signal, now, log).unwrap();
            if let Route::Relay { call, to, place } = route {
                told.heard.push((call, user(who), to.1, place, kind));
            }
        }
        Step::HandOver(side) => {
            for call in world.board.calls() {
                let Some(handed) = next.board.waiting(call.id, side) else {
                    continue;
                };
                for (place, signal) in (handed.first..).zip(&handed.signals) {
                    let from = handed.from.clone();
                    let heard = (handed.call, from, handed.to.1, place, signal.kind());
                    told.heard.push(heard);
                }
                next.board.handed(&handed);
            }
        }
        Step::Sweep => next.board.expire(now, log),
        Step::Tick => next.now += 1,
    }
    let transitions = told.transitions.iter().flat_map(Transition::notices);
    told.notices.extend(transitions);
    (next, told)
}

fn check(before: &World, step: Step, after: &World, told: &Told) {
    for call in before.board.calls() {
        let then = after.board.call(call.id).expect("no call is forgotten");
        check_change(before, step, call, then);
    }
    for call in after.board.calls() {
        let old = before.board.call(call.id).map_or(0, |call| call.version);
        let versions: Vec<_> = told
            .transitions
            .iter()
            .filter(|transition| transition.call.id == call.id)
            .map(|transition| transition.call.version)
            .collect();
        let expected: Vec<_> = (old + 1..=call.version).collect();
        assert_eq!(versions, expected, "{step:?} was not logged as it happened");
    }

    let live: Vec<_> = after.board.calls().filter(|call| call.is_live()).collect();
    let mut occupied = BTreeSet::new();
    for call in &live {
        for user in [&call.caller.user, &call.callee.user] {
            assert!(occupied.insert(user), "{step:?} put {user} into two calls");
            assert_eq!(after.board.call_of(user).map(|call| call.id), Some(call.id));
        }
    }
    for n in 0..DEVICES.len() {
        let is_busy = after.board.call_of(&user(n)).is_some();
        assert_eq!(is_busy, occupied.contains(&user(n)));
    }

    for notice in &told.notices {
        let call = after.board.call(notice.call).expect("a notice of no call");
        let to = match &notice.to {
            Recipient::AllDevices(to)
            | Recipient::Device(to, _)
            | Recipient::OtherDevices(to, _) => to,
        };
        assert!(call.side_of(to).is_some(), "{step:?} told a stranger");
    }
    if matches!(step, Step::Sweep) {
        let is_due = |call: &&&Call| call.deadline().is_some_and(|(at, _)| at.0 <= after.now);
        let overdue = live.iter().find(is_due);
        assert!(
            overdue.is_none(),
            "a swept call outlived its time: {overdue:?}"
        );
    }
}

fn check_change(before: &World, step: Step, call: &Call, then: &Call) {
    match call.phase {
        Phase::Over(_) => {
            // Only that its device came back may be noted.
            let (phase, version) = (then.phase, then.version);
            assert_eq!(
                (phase, version),
                (call.phase, call.version),
                "{step:?} changed an end"
            );
        }
        Phase::Ringing => {
            if then.phase == Phase::Connected {
                let now = before.now;
                assert!(now < call.rings_until.0, "{step:?} connected too late");
                assert!(then.callee.device.is_some() && then.caller.device.is_some());
            }
            let over = [Outcome::Ended, Outcome::Busy].map(Phase::Over);
            assert!(!over.contains(&then.phase), "{step:?}");
        }
        Phase::Connected => {
            let allowed = [Phase::Connected, Phase::Over(Outcome::Ended)];
            assert!(
                allowed.contains(&then.phase),
                "{step:?} left {:?}",
                then.phase
            );
        }
    }
    assert_eq!(call.rings_until, then.rings_until, "a second timer");
}

/// Walks every history of `depth` steps, and hands each state and its end to `visit`.
fn explore<T: Clone + Default>(
    depth: usize,
    steps: impl Fn(&World) -> Vec<Step>,
    mut visit: impl FnMut(&World, Step, &World, &Told, &T) -> T,
    mut end: impl FnMut(World),
) {
    let mut seen = HashSet::from([start()]);
    let mut queue = VecDeque::from([(start(), T::default(), 0)]);
    while let Some((world, memory, at)) = queue.pop_front() {
        if at == depth {
            end(world);
            continue;
        }
        for step in steps(&world) {
            let (next, told) = take(&world, step);
            let memory = visit(&world, step, &next, &told, &memory);
            if seen.insert(next.clone()) {
                queue.push_back((next, memory, at + 1));
            }
        }
    }
}

#[test]
fn every_order_of_events_ends_each_call_exactly_once() {
    let steps = |world: &World| {
        if world.n_initiated == 0 {
            // Nothing happens before the first call, and users 0 and 1 are alike.
            return vec![
                Step::Initiate(0, 0, 1),
                Step::Initiate(0, 0, 2),
                Step::Initiate(2, 0, 0),
            ];
        }
        let mut steps = vec![Step::Sweep, Step::Tick];
        for (user, n_devices) in DEVICES.into_iter().enumerate() {
            for device in 0..n_devices {
                if !world.connected[user][device] {
                    steps.push(Step::Connect(user, device));
                    continue;
                }
                steps.push(Step::Disconnect(user, device));
                if party(&world.board, user, device).is_some() {
                    steps.push(Step::Accept(user, device));
                    steps.push(Step::Reject(user, device));
                    steps.push(Step::HangUp(user, device));
                }
                // Two calls are enough for a race, and three users for a third party.
                if world.n_initiated < 2 {
                    let others = (0..DEVICES.len()).filter(|other| *other != user);
                    steps.extend(others.map(|other| Step::Initiate(user, device, other)));
                }
            }
        }
        steps
    };
    let mut phases = HashSet::new();
    let visit = |before: &World, step, after: &World, told: &Told, (): &()| {
        check(before, step, after, told);
        phases.extend(after.board.calls().map(|call| call.phase));
    };

    explore(DEPTH, steps, visit, ends_by_itself);

    let all = [
        Outcome::Busy,
        Outcome::Rejected,
        Outcome::Cancelled,
        Outcome::NoAnswer,
        Outcome::Ended,
    ];
    let missing: Vec<_> = all
        .iter()
        .filter(|outcome| !phases.contains(&Phase::Over(**outcome)))
        .collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// Everybody loses the network: whatever was going on is over once every deadline has passed.
fn ends_by_itself(mut world: World) {
    for (user, n_devices) in DEVICES.into_iter().enumerate() {
        for device in 0..n_devices {
            if world.connected[user][device] {
                world = take(&world, Step::Disconnect(user, device)).0;
            }
        }
    }
    world.now += 10;
    let swept = take(&world, Step::Sweep).0;
    let live = swept.board.calls().find(|call| call.is_live());
    assert!(live.is_none(), "a call outlived its devices: {live:?}");
}

#[test]
fn every_signal_reaches_the_accepting_device_alone_in_order() {
    let steps = |world: &World| {
        let mut steps = vec![
            Step::HandOver(Side::Caller),
            Step::HandOver(Side::Callee),
            Step::Accept(1, 0),
            Step::Accept(1, 1),
            Step::HangUp(0, 0),
        ];
        if world.n_initiated < 1 {
            steps.push(Step::Initiate(0, 0, 1));
        }
        steps.push(Step::Initiate(1, 0, 0));
        if world.n_signals < 3 {
            for (user, device) in [(0, 0), (1, 0), (1, 1)] {
                steps.push(Step::Signal(user, device, SignalKind::Offer));
                steps.push(Step::Signal(user, device, SignalKind::Candidate));
            }
            steps.push(Step::Signal(1, 0, SignalKind::Answer));
        }
        steps
    };
    let mut n_heard = 0;
    // The last place heard of each sender in each call.
    let visit = |before: &World, step, after: &World, told: &Told, last: &BTreeMap<_, u64>| {
        check(before, step, after, told);
        let mut last = last.clone();
        for (call, from, to, place, kind) in &told.heard {
            n_heard += 1;
            let call = after.board.call(*call).unwrap();
            let side = call.side_of(from).unwrap();
            let is_connected = call.phase == Phase::Connected;
            assert!(is_connected, "{step:?} was heard before anybody accepted");
            assert_eq!(Some(*to), call.leg(side.other()).device, "{step:?}");
            let merged_offer =
                side == Side::Callee && call.awaits_answer && *kind == SignalKind::Offer;
            assert!(!merged_offer, "{step:?}: two offers crossed");
            let before = last.insert((call.id, from.clone()), *place);
            assert_eq!(before.unwrap_or(0) + 1, *place, "{step:?} left a gap");
        }
        last
    };

    explore(SIGNAL_DEPTH, steps, visit, |_| {});

    assert!(n_heard > 1_000, "{n_heard}");
}

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

    assert_eq!(told.len(), 1);
    assert_eq!(told[0].tell, Tell::Accepted);
    assert_eq!(told[0].to, Recipient::Device(user(0), device(0, 1)));
    let again = board.back(
        &user(0),
        device(0, 0),
        None,
        Duration::ZERO,
        Timestamp(0),
        log,
    );
    assert_eq!(again, []);
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

    assert_eq!(told.len(), 1);
    assert_eq!(told[0].tell, Tell::Accepted);
    board.gone(&user(0), device(0, 1), Duration::ZERO, Timestamp(2), log);
    assert_eq!(
        board.back(
            &user(0),
            device(0, 0),
            None,
            Duration::ZERO,
            Timestamp(2),
            log
        ),
        []
    );
}

#[test]
fn a_recovered_session_takes_the_place_of_the_one_it_continues() {
    let mut board = ringing();
    let log = &mut Vec::new();
    let (old, new) = (device(0, 0), device(0, 1));

    let told = board.back(&user(0), new, Some(old), Duration::ZERO, Timestamp(1), log);

    assert_eq!(told, []);
    let call = board.call_of(&user(0)).unwrap();
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
