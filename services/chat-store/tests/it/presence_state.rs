//! Who is there, as Redis decides it: by the rules, whatever dies or is lost.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chat_domain::{
    Attendance, Presence, PresenceChange, Status, Timestamp, UserId,
    call::{DeviceId, GatewayId, Ringing},
};
use chat_store::{
    ports::{Answer, Sink},
    ports_calls::{CallState as _, GATEWAY_LEASE},
    ports_presence::{Attended, PresenceState},
    redis::RedisState,
};
use parking_lot::Mutex;
use test_kit::{eventually, redis::Namespace};
use tokio_util::sync::DropGuard;

use crate::{
    calls_subject::{RULES, another, app, party, request, user},
    presence_subject::{Collected, drained, pass, read_presence},
};

const AVAILABLE: Presence = Presence::Online(Status::Available);

/// The functions on keys of the test's own.
struct Shared {
    namespace: Namespace,
    state: RedisState,
    collected: Arc<Collected>,
    _reader: DropGuard,
}

impl Shared {
    fn new() -> Self {
        let namespace = Namespace::new().unwrap();
        let state = another(&namespace);
        let collected = Arc::new(Collected::default());
        Self {
            _reader: read_presence(&state, "reader", collected.clone()),
            namespace,
            state,
            collected,
        }
    }

    async fn come(&self, who: usize, device: DeviceId, again: bool) {
        let (app, user) = (app(), user(who));
        let come = PresenceState::come(&self.state, &app, &user, device, again);
        come.await.unwrap();
    }

    async fn leave(&self, who: usize, device: DeviceId) {
        let (app, user) = (app(), user(who));
        let leave = PresenceState::leave(&self.state, &app, &user, device);
        leave.await.unwrap();
    }

    /// Lets time pass, and what is due happen.
    async fn pass(&self, seconds: u64) {
        pass(&self.namespace, &app(), Duration::from_secs(seconds));
        self.state.settle_due(&app(), 1_000).await.unwrap();
    }

    /// Lets time pass while a sweeper looks after the gateways.
    async fn watch(&self, time: Duration) {
        self.state.bury(&[app()]).await.unwrap();
        pass(&self.namespace, &app(), time);
        self.state.bury(&[app()]).await.unwrap();
    }

    async fn presence(&self, who: usize) -> Presence {
        let users = [user(who)];
        PresenceState::presence_of(&self.state, &app(), &users)
            .await
            .unwrap()[0]
    }

    /// What was told so far.
    async fn told(&self) -> Vec<(UserId, Presence)> {
        drained(&self.namespace, "presence").await;
        let all = self.collected.all();
        all.into_iter().map(|it| (it.user, it.change.now)).collect()
    }
}

fn on(gateway: u64, socket: u64) -> DeviceId {
    DeviceId {
        gateway: GatewayId(gateway),
        socket,
    }
}

#[tokio::test]
async fn a_user_is_there_while_a_device_is_on_any_gateway() {
    let shared = Shared::new();
    shared.come(1, on(0xa, 1), false).await;
    shared.come(1, on(0xb, 1), false).await;
    shared.leave(1, on(0xa, 1)).await;
    shared.pass(100).await;
    assert_eq!(shared.presence(1).await, AVAILABLE);

    shared.leave(1, on(0xb, 1)).await;
    shared.pass(7).await;
    assert_eq!(shared.presence(1).await, AVAILABLE);
    shared.pass(2).await;

    assert_eq!(shared.presence(1).await, Presence::Offline);
    let expected = [(user(1), AVAILABLE), (user(1), Presence::Offline)];
    assert_eq!(shared.told().await, expected);
}

#[tokio::test]
async fn users_of_a_gateway_that_fell_silent_are_gone_after_the_grace_unless_they_came_back() {
    let shared = Shared::new();
    assert!(shared.state.alive(GatewayId(0xa)).await.unwrap());
    assert!(shared.state.alive(GatewayId(0xb)).await.unwrap());
    for who in [1, 2, 3] {
        shared.come(who, on(0xa, who as u64), false).await;
    }
    shared.come(3, on(0xb, 1), false).await;

    shared.state.bury(&[app()]).await.unwrap();
    pass(&shared.namespace, &app(), GATEWAY_LEASE);
    assert!(!shared.state.alive(GatewayId(0xb)).await.unwrap());
    shared.state.bury(&[app()]).await.unwrap();
    shared.come(2, on(0xb, 2), false).await;
    shared.pass(9).await;

    assert_eq!(shared.presence(1).await, Presence::Offline);
    assert_eq!(shared.presence(2).await, AVAILABLE);
    assert_eq!(shared.presence(3).await, AVAILABLE);
    let told = shared.told().await;
    assert_eq!(told.last(), Some(&(user(1), Presence::Offline)));
    assert_eq!(told.len(), 4);
}

#[tokio::test]
async fn a_gateway_that_was_given_up_has_to_announce_its_devices_again() {
    let shared = Shared::new();
    assert!(shared.state.alive(GatewayId(0xa)).await.unwrap());
    assert!(!shared.state.alive(GatewayId(0xa)).await.unwrap());
    shared.come(1, on(0xa, 1), false).await;

    shared.watch(GATEWAY_LEASE).await;

    assert!(shared.state.alive(GatewayId(0xa)).await.unwrap());
    shared.come(1, on(0xa, 1), true).await;
    shared.pass(100).await;
    assert_eq!(shared.told().await, [(user(1), AVAILABLE)]);
}

#[tokio::test]
async fn silence_means_nothing_when_nobody_listened() {
    let shared = Shared::new();
    shared.state.alive(GatewayId(0xa)).await.unwrap();
    shared.come(1, on(0xa, 1), false).await;
    shared.state.bury(&[app()]).await.unwrap();

    // Redis, NATS or every store was away for a minute.
    let looked = format!("{{calls{}}}:looked", shared.namespace.name());
    let mut decrease = redis::cmd("DECRBY");
    decrease.arg(looked).arg(60_000);
    decrease
        .exec(&mut shared.namespace.connection().unwrap())
        .unwrap();
    pass(&shared.namespace, &app(), Duration::from_mins(1));
    let n_buried = shared.state.bury(&[app()]).await.unwrap();

    assert_eq!(n_buried, 0);
    assert!(!shared.state.alive(GatewayId(0xa)).await.unwrap());
    shared.pass(100).await;
    assert_eq!(shared.presence(1).await, AVAILABLE);
}

#[tokio::test]
async fn after_a_loss_of_data_everybody_is_registered_again_and_nothing_is_told() {
    let shared = Shared::new();
    shared.state.alive(GatewayId(0xa)).await.unwrap();
    for who in [1, 2] {
        shared.come(who, on(0xa, who as u64), false).await;
    }
    assert_eq!(shared.told().await.len(), 2);

    shared.namespace.clear().unwrap();
    // Somebody comes before the gateway says that it lives.
    shared.come(3, on(0xa, 3), false).await;
    assert!(shared.state.alive(GatewayId(0xa)).await.unwrap());
    shared.come(1, on(0xa, 1), true).await;
    shared.leave(2, on(0xa, 2)).await;
    shared.pass(9).await;

    assert_eq!(shared.presence(1).await, AVAILABLE);
    let told = shared.told().await.split_off(2);
    assert_eq!(told, [(user(3), AVAILABLE), (user(2), Presence::Offline)]);
}

#[tokio::test]
async fn users_who_are_gone_for_long_are_forgotten() {
    let shared = Shared::new();
    shared.come(1, on(0xa, 1), false).await;
    shared.leave(1, on(0xa, 1)).await;
    shared.pass(10).await;
    assert_eq!(shared.presence(1).await, Presence::Offline);

    shared.pass(Attendance::MEMORY.as_secs() + 1).await;

    let mut connection = shared.namespace.connection().unwrap();
    let root = format!("{{calls{}}}", shared.namespace.name());
    for (command, key) in [("HLEN", "users:"), ("ZCARD", "look:")] {
        let key = format!("{root}:{key}{}", app());
        let left: usize = redis::cmd(command).arg(key).query(&mut connection).unwrap();
        assert_eq!(left, 0, "{command}");
    }
}

/// Takes a batch and never comes back, as a process that dies.
#[derive(Default)]
struct Dying(Mutex<Vec<Attended>>);

impl Sink<Attended> for Dying {
    fn take<'a>(&'a self, batch: &'a [Attended]) -> Answer<'a, ()> {
        self.0.lock().extend_from_slice(batch);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_change_that_a_store_took_to_its_grave_is_told_by_another_with_the_same_time() {
    let namespace = Namespace::new().unwrap();
    let state = another(&namespace);
    let (app, user) = (app(), user(1));
    let come = PresenceState::come(&state, &app, &user, on(0xa, 1), false);
    come.await.unwrap();
    let dying = Arc::new(Dying::default());
    let reader = read_presence(&state, "dying", dying.clone());
    let first = eventually("a change is taken", async || {
        dying.0.lock().first().cloned()
    })
    .await;
    drop(reader);

    let collected = Arc::new(Collected::default());
    let _reader = read_presence(&state, "heir", collected.clone());
    drained(&namespace, "presence").await;

    assert_eq!(collected.all(), [first]);
}

#[tokio::test]
async fn a_call_is_pushed_to_whoever_has_no_device_on_a_gateway_that_lives() {
    let shared = Shared::new();
    let claim = async |call: u128, who: usize| {
        let (app, user, ttl) = (app(), user(who), Duration::from_mins(1));
        let call = crate::calls_subject::call_id(call);
        let claimed = PresenceState::claim_push(&shared.state, &app, &user, call, ttl);
        let claimed = claimed.await.unwrap();
        let pushed = PresenceState::was_pushed(&shared.state, &app, call).await;
        assert_eq!(pushed.unwrap(), claimed);
        claimed
    };
    shared.state.alive(GatewayId(0xa)).await.unwrap();

    assert!(claim(1, 1).await);
    shared.come(1, on(0xa, 1), false).await;
    assert!(claim(1, 1).await, "what was decided stays");
    assert!(!claim(2, 1).await);
    pass(&shared.namespace, &app(), GATEWAY_LEASE);
    assert!(claim(3, 1).await, "its gateway is dead");
    shared.state.alive(GatewayId(0xa)).await.unwrap();
    assert!(!claim(4, 1).await);
    shared.leave(1, on(0xa, 1)).await;
    assert!(claim(5, 1).await, "within the grace, too");
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % n
    }
}

/// The rules, for two users who may be in a call with each other.
struct Rules {
    users: HashMap<usize, Attendance>,
    in_call: bool,
    now: Timestamp,
    told: Vec<(usize, Presence, Presence)>,
}

impl Rules {
    fn act(
        &mut self,
        who: usize,
        act: impl FnOnce(&mut Attendance, bool, Timestamp) -> Option<PresenceChange>,
    ) {
        let user = self.users.entry(who).or_default();
        if let Some(change) = act(user, self.in_call, self.now) {
            self.told.push((who, change.was, change.now));
        }
    }

    fn look(&mut self) {
        for who in [0, 1] {
            // Whoever nobody heard of is not looked at.
            if self.users.contains_key(&who) {
                self.act(who, Attendance::settle);
            }
        }
    }
}

async fn one_step(shared: &Shared, rules: &mut Rules, random: &mut Random, n: u128) {
    let who = random.below(2);
    let device = on(0xa + random.below(2) as u64, random.below(2) as u64);
    let (app, id) = (app(), user(who));
    match random.below(10) {
        0..3 => {
            let again = random.below(4) == 0;
            shared.come(who, device, again).await;
            rules.act(who, |user, call, now| user.come(device, again, call, now));
        }
        3..6 => {
            shared.leave(who, device).await;
            rules.act(who, |user, call, now| user.gone(device, call, now));
        }
        6 => {
            let status = [Status::Available, Status::Away, Status::Busy][random.below(3)];
            let choose = PresenceState::choose(&shared.state, &app, &id, status);
            choose.await.unwrap();
            rules.act(who, |user, call, now| user.choose(status, call, now));
        }
        7 => {
            if rules.in_call {
                let party = party(0, 0, 1);
                shared.state.hang_up(&app, &party).await.unwrap();
            } else {
                let request = request(n, 0, 0, 1);
                let rings = shared.state.initiate(&app, &request, RULES);
                assert!(matches!(rings.await.unwrap(), Ringing::New(_)));
                shared.state.accept(&app, &party(1, 0, 0)).await.unwrap();
            }
            rules.in_call = !rules.in_call;
            let users = [&user(0), &user(1)];
            PresenceState::look(&shared.state, &app, &users)
                .await
                .unwrap();
            rules.look();
        }
        _ => {
            // Sums of these stay a second clear of all deadlines.
            let seconds = 3 * (1 + random.below(4) as u64);
            rules.now = rules.now.after(Duration::from_secs(seconds));
            shared.pass(seconds).await;
            rules.look();
        }
    }
}

#[tokio::test]
async fn the_functions_of_presence_do_what_the_rules_say() {
    let mut n_steps = 0;
    for seed in 1..=20_u64 {
        let (shared, random) = (Shared::new(), &mut Random(seed * 0x9e37_79b9));
        let mut rules = Rules {
            users: HashMap::new(),
            in_call: false,
            now: Timestamp(1_700_000_000_000),
            told: Vec::new(),
        };
        let started = Instant::now();
        for n in 1..=50 {
            one_step(&shared, &mut rules, random, n).await;
            // The server's clock goes on, too: a machine that is too slow proves nothing.
            if Duration::from_millis(900) < started.elapsed() {
                break;
            }
            for who in [0, 1] {
                let expected = rules.users.get(&who).map(Attendance::presence);
                let found = shared.presence(who).await;
                assert_eq!(found, expected.unwrap_or_default(), "seed {seed}, step {n}");
            }
            n_steps += 1;
        }
        drained(&shared.namespace, "presence").await;
        let told: Vec<_> = shared.collected.all();
        for who in [0, 1] {
            let of = |it: &&Attended| it.user == user(who);
            let told = told
                .iter()
                .filter(of)
                .map(|it| (it.change.was, it.change.now));
            let rules = rules.told.iter().filter(|(it, ..)| *it == who);
            let rules = rules.map(|(_, was, now)| (*was, *now));
            // The last step of a slow machine is in neither.
            assert!(told.take(rules.clone().count()).eq(rules), "seed {seed}");
        }
    }
    assert!(100 < n_steps, "{n_steps} steps prove too little");
}
