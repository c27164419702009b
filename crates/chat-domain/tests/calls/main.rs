//! Every order of events that a small world of calls can see.
//!
//! States that were seen before are not entered again, so the search ends. A second, smaller world
//! adds the signals.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod rules;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    time::Duration,
};

use chat_domain::{
    ConversationId, Timestamp, UserId,
    call::{
        Call, CallId, CallKind, CallRules, DeviceId, GatewayId, Initiate, Notice, Outcome, Party,
        Phase, Recipient, Ringing, Route, Side, Signal, SignalKind, Switchboard, Transition,
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
                .back(&user(who), device, None, Duration::ZERO, now, log)
                .notices;
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
