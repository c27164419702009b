//! Many replicas at the same few calls, each a process of its own, some of them killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chat_domain::{
    UserId,
    call::{CallId, CallRules, Change, Phase, Ringing, Transition},
};
use chat_store::{ports_calls::CallState, redis::RedisState};
use test_kit::{eventually, redis::Namespace};

use super::calls_subject::{
    Shared, Subject as _, another, app, call_id, device, party, request, user,
};

const REPLICAS: u64 = 6;
const ROUNDS: u128 = 250;
/// How often a replica tells how far it is.
const REPORT: u128 = 10;
/// Tells a process that it is a replica: the namespace, and which one.
const REPLICA: &str = "CALLS_RACE_REPLICA";
const USERS: usize = 4;
/// Short, so that timers, sweeps and people meet.
const RULES: CallRules = CallRules {
    ring: Duration::from_millis(12),
    grace: Duration::from_millis(6),
};

/// What one replica does for its clients, in an order of its own.
#[expect(clippy::print_stdout, reason = "read by whoever started the process")]
async fn replica(calls: RedisState, n: u64) {
    let mut state = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap() % n
    };
    for round in 0..ROUNDS {
        if round % REPORT == 0 {
            println!("{round}");
        }
        let (who, d) = (below(USERS), below(2));
        let peer = (who + 1 + below(USERS - 1)) % USERS;
        let (app, party) = (app(), party(who, d, peer));
        // Refusals are part of the race, and so are answers that come too late.
        match below(10) {
            0..3 => {
                let id = 1 + u128::from(n) * ROUNDS + round;
                drop(
                    calls
                        .initiate(&app, &request(id, who, d, peer), RULES)
                        .await,
                );
            }
            3..6 => drop(calls.accept(&app, &party).await),
            6 => drop(calls.reject(&app, &party, None).await),
            7 => drop(calls.hang_up(&app, &party).await),
            8 if below(2) == 0 => drop(
                calls
                    .gone(&app, &user(who), device(who, d), Duration::ZERO)
                    .await,
            ),
            8 => drop(
                calls
                    .back(&app, &user(who), device(who, d), None, Duration::ZERO)
                    .await,
            ),
            _ => drop(calls.expire(&app, 4).await),
        }
    }
}

/// Reads the log as it was written: who is in a call, and that each call goes one legal way.
fn check(log: &[Transition]) -> usize {
    let mut calls: HashMap<CallId, &Transition> = HashMap::new();
    let mut occupied: HashMap<&UserId, CallId> = HashMap::new();
    for entry in log {
        let call = &entry.call;
        let before = calls.insert(call.id, entry);
        let legal = match (before.map(|before| before.call.phase), entry.change) {
            (None, Change::Ringing | Change::Busy) => call.version == 1,
            (
                Some(Phase::Ringing),
                Change::Moved(_)
                | Change::Accepted
                | Change::Merged
                | Change::Rejected(_)
                | Change::Cancelled
                | Change::NoAnswer,
            )
            | (Some(Phase::Connected), Change::Moved(_) | Change::Ended(_)) => true,
            _ => false,
        };
        assert!(legal, "{:?} after {before:?}", entry.change);
        let version = before.map_or(0, |before| before.call.version);
        assert_eq!(call.version, version + 1, "{entry:?}");
        for user in [&call.caller.user, &call.callee.user] {
            if entry.change == Change::Ringing {
                let other = occupied.insert(user, call.id);
                assert_eq!(other, None, "{user} is in two calls: {entry:?}");
            } else if matches!(call.phase, Phase::Over(_)) && entry.change != Change::Busy {
                assert_eq!(occupied.remove(user), Some(call.id), "{entry:?}");
            }
        }
    }
    assert!(occupied.is_empty(), "left in a call: {occupied:?}");
    calls.len()
}

/// Not a test: what the processes of the race run.
#[tokio::test]
#[ignore = "a process of the race"]
async fn one_replica() {
    let Ok(who) = env::var(REPLICA) else { return };
    let (namespace, n) = who.split_once(' ').unwrap();
    let namespace = Namespace::named(namespace).unwrap();
    replica(another(&namespace), n.parse().unwrap()).await;
    // The keys are the race's.
    std::mem::forget(namespace);
}

fn start(namespace: &Namespace, n: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "calls_race::one_replica",
            "--nocapture",
        ])
        .env(REPLICA, format!("{} {n}", namespace.name()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a replica has done all, or kills it when it has done so much.
fn supervise(mut replica: Child, kill_at: Option<u128>) {
    let lines = BufReader::new(replica.stdout.take().unwrap()).lines();
    let rounds = lines
        .map_while(Result::ok)
        .filter_map(|line| line.parse::<u128>().ok());
    let mut n_reports = 0;
    for round in rounds {
        n_reports += 1;
        if kill_at == Some(round) {
            replica.kill().unwrap();
        }
    }
    assert!(n_reports > 0, "the replica did nothing");
    assert_eq!(replica.wait().unwrap().success(), kill_at.is_none());
}

#[tokio::test]
async fn each_call_has_one_legal_history_whichever_processes_touch_it_and_die() {
    let shared = Shared::new();
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|n| {
            let replica = start(&shared.namespace, n);
            // Every other one is killed, somewhere in the middle.
            let kill_at = (n % 2 == 1).then_some(REPORT * u128::from(5 + n));
            tokio::task::spawn_blocking(move || supervise(replica, kill_at))
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap();
    }
    // Everybody leaves; the timers do the rest.
    for who in 0..USERS {
        for d in 0..2 {
            shared
                .calls
                .gone(&app(), &user(who), device(who, d), Duration::ZERO)
                .await
                .unwrap();
        }
    }
    let log = eventually("every call is over", async || {
        drop(shared.calls.expire(&app(), 100).await);
        let log = shared.logged().await;
        let mut last = HashMap::new();
        for entry in &log {
            last.insert(entry.call.id, entry.call.phase);
        }
        let is_over = |phase: &Phase| matches!(phase, Phase::Over(_));
        last.values().all(is_over).then_some(log)
    })
    .await;

    let n_calls = check(&log);

    assert!(n_calls > 100, "{n_calls}");
    for (n, peer) in [(0, 1), (2, 3)] {
        let id = 1_000_000 + n as u128;
        let free = shared
            .calls
            .initiate(&app(), &request(id, n, 0, peer), RULES)
            .await;
        assert_eq!(free.unwrap(), Ringing::New(call_id(id)));
    }
}
