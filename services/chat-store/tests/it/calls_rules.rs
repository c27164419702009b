//! The functions in Redis do what the rules say, whatever is asked and however often it is repeated.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::future_not_send, reason = "a test stays on its thread")]

use std::{collections::BTreeSet, time::Duration};

use chat_domain::{
    Timestamp,
    call::{Call, Change, DeviceId, Initiate, Party, Side, Signal, SignalKind, Transition},
};

use super::calls_subject::{
    MemoryCalls, RULES, Shared, Subject, app, call_id, device, party, request, signal, user,
};

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

/// The same random request to both, as text that does not depend on clocks. One that has a number may
/// come several `times`: devices that are gone have none, as these come back as they were.
async fn act(
    subject: &impl Subject,
    seed: u64,
    n: u128,
    times: usize,
    gone: &mut BTreeSet<DeviceId>,
) -> String {
    let random = &mut Random(seed);
    // Multiples of 7 s stay clear of all deadlines, whatever the server's clock adds.
    let jumps = [0, 0, 0, 0, 0, 7, 14, 35, 140, 350];
    subject.pass(Duration::from_secs(jumps[random.below(jumps.len())]) + Duration::from_millis(5));
    let who = random.below(3);
    let d = random.below(2);
    let kind = random.below(14);
    if kind == 7 {
        gone.insert(device(who, d));
    }
    let n_asked = if gone.contains(&device(who, d)) { 0 } else { n };
    let is_numbered = n_asked != 0 && matches!(kind, 0..7 | 9..12);
    let mut said = String::new();
    for _ in 0..if is_numbered { times } else { 1 } {
        said = ask(subject, &mut Random(random.0), kind, (who, d), (n, n_asked)).await;
    }
    said
}

async fn ask(
    subject: &impl Subject,
    random: &mut Random,
    kind: usize,
    (who, d): (usize, usize),
    (n, n_asked): (u128, u128),
) -> String {
    let (state, app) = (subject.state(), app());
    let peer = (who + 1 + random.below(2)) % 3;
    // Clear of all moments, too.
    let ages = [0, 3, 24, 150, 1_000_000];
    let age = Duration::from_secs(ages[random.below(ages.len())]);
    let ago = Duration::from_secs([0, 0, 27][random.below(3)]);
    let mut party = Party {
        age,
        n: u64::try_from(n_asked).unwrap(),
        ..party(who, d, peer)
    };
    if random.below(4) == 0 {
        party.call = Some(call_id(n.saturating_sub(1 + random.below(3) as u128)));
    }
    match kind {
        0..3 => {
            let request = Initiate {
                n: party.n,
                ..request(n, who, d, peer)
            };
            format!("{:?}", state.initiate(&app, &request, RULES).await)
        }
        3..5 => format!("{:?}", state.accept(&app, &party).await),
        5 => format!("{:?}", state.reject(&app, &party, Some("no".into())).await),
        6 => format!("{:?}", state.hang_up(&app, &party).await),
        7 => format!(
            "{:?}",
            state.gone(&app, &user(who), device(who, d), ago).await
        ),
        8 => {
            let replaces = (random.below(3) == 0).then(|| device(who, 1 - d));
            format!(
                "{:?}",
                state
                    .back(&app, &user(who), device(who, d), replaces, age)
                    .await
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
            let signals = waiting.as_ref().map(|handed| {
                let payloads: Vec<&str> = handed.signals.iter().map(Signal::payload).collect();
                payloads.join(",")
            });
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
        let mut gone = [BTreeSet::new(), BTreeSet::new()];
        for n in 1..=120 {
            seeds.below(1);
            let said = act(&shared, seeds.0, n, 2, &mut gone[0]).await;
            history.push(format!("{n}: {said}"));
            let expected = act(&memory, seeds.0, n, 1, &mut gone[1]).await;
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
