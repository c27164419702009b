//! Every order of events that a small world of calls can see.
//!
//! Three users, two of them with two devices, do everything they can in every order while time
//! passes in steps. States that were seen before are not entered again, so the search ends.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    time::Duration,
};

use chat_domain::{
    ConversationId, Timestamp, UserId,
    call::{
        CallId, CallKind, CallRules, DeviceId, Initiate, Notice, Outcome, Phase, Recipient,
        Ringing, Switchboard, Tell,
    },
};
use uuid::Uuid;

const RULES: CallRules = CallRules {
    ring: Duration::from_millis(4),
    grace: Duration::from_millis(2),
};
/// The longest history looked at, in events.
const DEPTH: usize = 6;

#[derive(Debug, Clone, Copy)]
enum Step {
    Initiate(usize, usize, usize),
    Accept(usize, usize),
    Reject(usize, usize),
    HangUp(usize, usize),
    Disconnect(usize, usize),
    Connect(usize, usize),
    /// A replica looks for what is due; as often as any number of replicas would.
    Sweep,
    Tick,
}

/// The users, and how many devices each has.
const DEVICES: [usize; 3] = [2, 2, 1];

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    board: Switchboard,
    connected: [[bool; 2]; 3],
    now: i64,
    n_initiated: u128,
}

fn user(n: usize) -> UserId {
    UserId::new(&format!("user-{n}")).unwrap()
}

fn device(user: usize, n: usize) -> DeviceId {
    DeviceId((user * 2 + n) as u64)
}

fn steps(world: &World) -> Vec<Step> {
    let mut steps = vec![Step::Sweep, Step::Tick];
    for (user, n_devices) in DEVICES.into_iter().enumerate() {
        for device in 0..n_devices {
            if !world.connected[user][device] {
                steps.push(Step::Connect(user, device));
                continue;
            }
            steps.push(Step::Disconnect(user, device));
            steps.push(Step::Accept(user, device));
            steps.push(Step::Reject(user, device));
            steps.push(Step::HangUp(user, device));
            // Two calls are enough for a race, and three users for a third party.
            if world.n_initiated < 2 {
                let others = (0..DEVICES.len()).filter(|other| *other != user);
                steps.extend(others.map(|other| Step::Initiate(user, device, other)));
            }
        }
    }
    steps
}

fn take(world: &World, step: Step) -> (World, Vec<Notice>) {
    let mut next = world.clone();
    let mut notices = Vec::new();
    let now = Timestamp(world.now);
    match step {
        Step::Initiate(caller, n, callee) => {
            let request = Initiate {
                call: CallId(Uuid::from_u128(world.n_initiated)),
                caller: user(caller),
                device: device(caller, n),
                callee: user(callee),
                conversation: ConversationId(Uuid::nil()),
                kind: CallKind::Audio,
            };
            let ringing = next.board.initiate(request, RULES, now, &mut notices);
            if matches!(ringing, Ok(Ringing::New(_))) {
                next.n_initiated += 1;
            }
        }
        Step::Accept(who, n) => {
            // A refusal changes nothing: `check` sees that it does not.
            let _ = next
                .board
                .accept(&user(who), device(who, n), now, &mut notices);
        }
        Step::Reject(who, n) => {
            let _ = next.board.reject(&user(who), device(who, n), &mut notices);
        }
        Step::HangUp(who, n) => {
            let _ = next.board.hang_up(&user(who), device(who, n), &mut notices);
        }
        Step::Disconnect(who, n) => {
            next.connected[who][n] = false;
            next.board.gone(&user(who), device(who, n), RULES, now);
        }
        Step::Connect(who, n) => {
            next.connected[who][n] = true;
            next.board.back(&user(who), device(who, n), &mut notices);
        }
        Step::Sweep => next.board.expire(RULES, now, &mut notices),
        Step::Tick => next.now += 1,
    }
    (next, notices)
}

fn check(before: &World, step: Step, after: &World, notices: &[Notice]) {
    for call in before.board.calls() {
        let then = after.board.call(call.id).expect("no call is forgotten");
        match call.phase {
            Phase::Over(_) => assert_eq!(call, then, "{step:?} changed a call that is over"),
            Phase::Ringing => {
                if then.phase == Phase::Connected {
                    assert!(
                        before.now < call.rings_until.0,
                        "{step:?} connected too late"
                    );
                    assert!(then.callee.device.is_some() && then.caller.device.is_some());
                }
                assert_ne!(then.phase, Phase::Over(Outcome::Ended), "{step:?}");
            }
            Phase::Connected => {
                assert_ne!(then.phase, Phase::Ringing, "{step:?}");
                let ended_otherwise = matches!(
                    then.phase,
                    Phase::Over(Outcome::Rejected | Outcome::Cancelled | Outcome::NoAnswer)
                );
                assert!(
                    !ended_otherwise,
                    "{step:?} ended a connected call as {:?}",
                    then.phase
                );
            }
        }
        let changed = call.phase != then.phase;
        assert_eq!(then.version, call.version + u32::from(changed), "{step:?}");
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
        assert_eq!(
            after.board.call_of(&user(n)).is_some(),
            occupied.contains(&user(n))
        );
    }

    for notice in notices {
        let Some(call) = after.board.call(notice.call) else {
            assert_eq!(notice.tell, Tell::Busy);
            continue;
        };
        let to = match &notice.to {
            Recipient::AllDevices(to)
            | Recipient::Device(to, _)
            | Recipient::OtherDevices(to, _) => to,
        };
        assert!(
            call.involves(to) || notice.tell == Tell::Busy,
            "{step:?} told a stranger"
        );
    }
    if matches!(step, Step::Sweep) {
        let overdue = live
            .iter()
            .any(|call| call.phase == Phase::Ringing && call.rings_until.0 <= after.now);
        assert!(!overdue, "a swept call still rings past its time");
    }
}

#[test]
fn every_order_of_events_ends_each_call_exactly_once() {
    let start = World {
        board: Switchboard::default(),
        connected: [[true; 2]; 3],
        now: 0,
        n_initiated: 0,
    };
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([(start, 0)]);
    let mut outcomes = HashSet::new();

    while let Some((world, depth)) = queue.pop_front() {
        outcomes.extend(world.board.calls().map(|call| call.phase));
        if depth == DEPTH {
            ends_by_itself(world);
            continue;
        }
        for step in steps(&world) {
            let (next, notices) = take(&world, step);
            check(&world, step, &next, &notices);
            if seen.insert(next.clone()) {
                queue.push_back((next, depth + 1));
            }
        }
    }

    let all = [
        Outcome::Rejected,
        Outcome::Cancelled,
        Outcome::NoAnswer,
        Outcome::Ended,
    ];
    assert!(
        all.iter()
            .all(|outcome| outcomes.contains(&Phase::Over(*outcome)))
    );
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
    assert!(
        swept.board.calls().all(|call| !call.is_live()),
        "a call outlived its devices"
    );
}
