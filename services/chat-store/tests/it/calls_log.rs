//! From the log to rows and notices, whatever is lost on the way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError, UserId,
    call::{Call, CallId, CallRules, Handed, Notice, Outcome, Phase, Ringing, Tell, Transition},
};
use chat_store::{
    app::calls::{FollowUp, Recorder, reconcile},
    pg::Pg,
    ports::{Answer, Sink},
    ports_calls::{CallHistory, CallNotifier, CallState, Logged},
    redis::RedisState,
};
use parking_lot::Mutex;
use test_kit::{eventually, redis::Namespace};
use tokio_util::sync::DropGuard;
use uuid::Uuid;

use super::{
    calls_subject::{
        Collected, RULES, Shared, Subject as _, another, app, call_id, device, drained, party,
        read_log, request, user,
    },
    world::World,
};

/// Takes a batch and never comes back, as a process that dies.
struct Dying(Mutex<Option<usize>>);

impl Sink<Logged> for Dying {
    fn take<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, ()> {
        *self.0.lock() = Some(batch.len());
        Box::pin(std::future::pending())
    }
}

/// Fails once.
#[derive(Default)]
struct Stumbling {
    stumbled: Mutex<bool>,
    then: Collected,
}

impl Sink<Logged> for Stumbling {
    fn take<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, ()> {
        if !std::mem::replace(&mut *self.stumbled.lock(), true) {
            let error = ChatError::Conflict("not now");
            return Box::pin(async { Err(error) });
        }
        self.then.take(batch)
    }
}

fn names(log: &[Transition]) -> BTreeSet<(CallId, u32)> {
    log.iter()
        .map(|entry| (entry.call.id, entry.call.version))
        .collect()
}

async fn ring_and_cancel(calls: &RedisState, n: u128) {
    let (caller, callee) = (2 * n as usize, 2 * n as usize + 1);
    calls
        .initiate(&app(), &request(n, caller, 0, callee), RULES)
        .await
        .unwrap();
    calls
        .hang_up(&app(), &party(caller, 0, callee))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_reader_took_to_its_grave_reaches_the_next() {
    let namespace = Namespace::new().unwrap();
    let calls = another(&namespace);
    for n in 1..=5 {
        ring_and_cancel(&calls, n).await;
    }
    let dying = Arc::new(Dying(Mutex::new(None)));
    let reader = read_log(&calls, "dying", dying.clone());
    eventually("a batch is taken", async || *dying.0.lock()).await;
    drop(reader);

    let collected = Arc::new(Collected::default());
    let _reader = read_log(&calls, "heir", collected.clone());
    ring_and_cancel(&calls, 6).await;
    drained(&namespace).await;

    let expected = (1..=6).flat_map(|n| [(call_id(n), 1), (call_id(n), 2)]);
    assert_eq!(names(&collected.transitions()), expected.collect());
}

#[tokio::test]
async fn what_a_sink_fails_on_comes_again() {
    let namespace = Namespace::new().unwrap();
    let calls = another(&namespace);
    ring_and_cancel(&calls, 1).await;

    let sink = Arc::new(Stumbling::default());
    let _reader = read_log(&calls, "reader", sink.clone());
    drained(&namespace).await;

    let expected = BTreeSet::from([(call_id(1), 1), (call_id(1), 2)]);
    assert_eq!(names(&sink.then.transitions()), expected);
}

#[tokio::test]
async fn a_reader_survives_the_loss_of_the_log() {
    let shared = Shared::new();
    ring_and_cancel(&shared.calls, 1).await;
    shared.logged().await;

    shared.namespace.clear().unwrap();
    ring_and_cancel(&shared.calls, 2).await;

    let log = shared.logged().await;
    assert!(names(&log).contains(&(call_id(2), 2)));
}

/// Remembers what was told.
#[derive(Default)]
struct Ear {
    told: Mutex<Vec<(CallId, u32, Tell)>>,
    passed: Mutex<Vec<Handed>>,
}

impl CallNotifier for Ear {
    fn tell<'a>(&'a self, _logged: &'a Logged, notices: &'a [Notice]) -> Answer<'a, ()> {
        let told = notices
            .iter()
            .map(|notice| (notice.call, notice.version, notice.tell));
        self.told.lock().extend(told);
        Box::pin(async { Ok(()) })
    }

    fn pass_on<'a>(&'a self, _app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()> {
        self.passed.lock().push(handed.clone());
        Box::pin(async { Ok(()) })
    }
}

/// A replica with a history in Postgres.
struct Replica {
    namespace: Namespace,
    pg: Arc<Pg>,
    calls: Arc<RedisState>,
    ear: Arc<Ear>,
    /// The database goes with the first, the reader of the log with the second.
    _alive: (World, DropGuard),
}

impl Replica {
    async fn new() -> Self {
        let (world, namespace) = (World::new().await, Namespace::new().unwrap());
        let pg = Arc::new(world.pg_of(2).await);
        let calls = RedisState::new(namespace.url(), namespace.name(), pg.clone()).unwrap();
        let (calls, ear) = (Arc::new(calls), Arc::new(Ear::default()));
        let recorder = Recorder::new(
            calls.clone(),
            pg.clone(),
            ear.clone(),
            FollowUp::new(calls.clone(), pg.clone(), calls.clone()),
            world.store(crate::world::Ear::deaf()).await,
        );
        let reader = read_log(&calls, "reader", Arc::new(recorder));
        Self {
            namespace,
            pg,
            calls,
            ear,
            _alive: (world, reader),
        }
    }

    async fn ring(&self, rules: CallRules) {
        let ringing = self
            .calls
            .initiate(&app(), &request(1, 0, 0, 1), rules)
            .await;
        assert_eq!(ringing.unwrap(), Ringing::New(call_id(1)));
        drained(&self.namespace).await;
    }

    async fn row(&self, n: u128) -> Call {
        self.pg
            .find_call(&app(), call_id(n))
            .await
            .unwrap()
            .unwrap()
    }

    fn tells(&self) -> Vec<Tell> {
        self.ear
            .told
            .lock()
            .iter()
            .map(|(_, _, tell)| *tell)
            .collect()
    }

    /// The changes that were told as missed calls. A change may be told again under its version:
    /// whoever wrote the row and lost the log before saying that all followed from it did not
    /// know that it was told.
    fn missed(&self) -> BTreeSet<(CallId, u32)> {
        self.ear
            .told
            .lock()
            .iter()
            .filter(|(_, _, tell)| *tell == Tell::Missed)
            .map(|(call, version, _)| (*call, *version))
            .collect()
    }
}

#[tokio::test]
async fn a_call_is_told_and_recorded_from_ring_to_end() {
    let replica = Replica::new().await;
    let offer = super::calls_subject::signal(chat_domain::call::SignalKind::Offer, "offer");
    replica
        .calls
        .signal(&app(), &party(0, 0, 1), &offer)
        .await
        .unwrap();

    replica.ring(RULES).await;
    replica.calls.accept(&app(), &party(1, 1, 0)).await.unwrap();
    replica
        .calls
        .hang_up(&app(), &party(1, 1, 0))
        .await
        .unwrap();
    drained(&replica.namespace).await;

    let row = replica.row(1).await;
    assert_eq!(row.phase, Phase::Over(Outcome::Ended));
    assert_eq!((row.version, row.callee.device), (3, Some(device(1, 1))));
    assert!(row.duration().is_some());
    let expected = [
        Tell::Ringing,
        Tell::Incoming,
        Tell::Connected,
        Tell::Accepted,
        Tell::AnsweredElsewhere,
        Tell::Ended,
    ];
    assert_eq!(replica.tells(), expected);
}

#[tokio::test]
async fn what_waited_passes_once_the_call_is_accepted() {
    let replica = Replica::new().await;
    let offer = super::calls_subject::signal(chat_domain::call::SignalKind::Offer, "offer");
    replica
        .calls
        .signal(&app(), &party(0, 0, 1), &offer)
        .await
        .unwrap();
    replica.ring(RULES).await;
    assert_eq!(replica.ear.passed.lock().len(), 0);

    replica.calls.accept(&app(), &party(1, 1, 0)).await.unwrap();
    drained(&replica.namespace).await;

    let passed = replica.ear.passed.lock();
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].to, (user(1), device(1, 1)));
    assert_eq!(passed[0].signals, [offer]);
}

#[tokio::test]
async fn a_ringing_call_survives_the_loss_of_redis() {
    let replica = Replica::new().await;
    replica.ring(RULES).await;

    replica.namespace.clear().unwrap();
    replica.calls.accept(&app(), &party(1, 0, 0)).await.unwrap();
    replica
        .calls
        .hang_up(&app(), &party(0, 0, 1))
        .await
        .unwrap();
    drained(&replica.namespace).await;

    let row = replica.row(1).await;
    assert_eq!(row.phase, Phase::Over(Outcome::Ended));
    let ends = replica
        .tells()
        .into_iter()
        .filter(|tell| *tell == Tell::Ended);
    assert_eq!(ends.count(), 1);
}

#[tokio::test]
async fn a_ring_ends_in_time_and_once_though_redis_was_lost() {
    let replica = Replica::new().await;
    let ring = Duration::from_millis(300);
    replica.ring(CallRules { ring, ..RULES }).await;

    replica.namespace.clear().unwrap();
    eventually("the call is over", async || {
        replica.calls.expire(&app(), 10).await.unwrap();
        let row = replica.row(1).await;
        (row.phase == Phase::Over(Outcome::NoAnswer)).then_some(())
    })
    .await;
    replica.namespace.clear().unwrap();
    replica.calls.expire(&app(), 10).await.unwrap();

    eventually("the end is told", async || {
        (!replica.missed().is_empty()).then_some(())
    })
    .await;
    drained(&replica.namespace).await;
    assert_eq!(replica.missed().len(), 1);
}

#[tokio::test]
async fn a_state_that_lost_its_last_moments_is_put_right() {
    let replica = Replica::new().await;
    // A call that only the row knows of, as after a crash of Redis.
    replica.calls.expire(&app(), 1).await.unwrap();
    let other = Shared::new();
    other
        .calls
        .initiate(&app(), &request(9, 0, 0, 1), RULES)
        .await
        .unwrap();
    let lost = other.logged().await.remove(0);
    let logged = Logged {
        app: app(),
        transition: lost,
    };
    replica.pg.record(&[logged]).await.unwrap();

    reconcile(replica.calls.as_ref(), replica.pg.as_ref())
        .await
        .unwrap();

    let call = replica
        .calls
        .find(&app(), call_id(9))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(call.phase, Phase::Ringing);
    replica.calls.accept(&app(), &party(1, 0, 0)).await.unwrap();
}

/// The changes of one call that ended so.
async fn history_of(n: u128, end: Outcome) -> Vec<Logged> {
    let shared = Shared::new();
    let calls = &shared.calls;
    calls
        .initiate(&app(), &request(n, 0, 0, 1), RULES)
        .await
        .unwrap();
    match end {
        Outcome::Rejected => {
            calls
                .reject(&app(), &party(1, 0, 0), Some("busy now".into()))
                .await
                .unwrap();
        }
        Outcome::NoAnswer => {
            shared.pass(RULES.ring);
            calls.expire(&app(), 1).await.unwrap();
        }
        Outcome::Cancelled | Outcome::Busy | Outcome::Ended => {
            calls.hang_up(&app(), &party(0, 0, 1)).await.unwrap();
        }
    }
    let log = shared.logged().await;
    log.into_iter()
        .map(|transition| Logged {
            app: app(),
            transition,
        })
        .collect()
}

#[tokio::test]
async fn a_row_takes_the_first_outcome_and_no_other() {
    let world = World::new().await;
    let pg = world.pg_of(2).await;
    let rejected = history_of(1, Outcome::Rejected).await;
    let cancelled = history_of(1, Outcome::Cancelled).await;
    let held = async |batch: &[Logged]| pg.record(batch).await.unwrap().len();

    // The end is seen before the beginning, and twice.
    assert_eq!(held(&rejected[1..]).await, 1);
    assert_eq!(held(&rejected[..1]).await, 0);
    assert_eq!(held(&rejected).await, 1);
    assert_eq!(held(&cancelled).await, 0);

    let row = pg.find_call(&app(), call_id(1)).await.unwrap().unwrap();
    assert_eq!(row.phase, Phase::Over(Outcome::Rejected));
    assert_eq!(row.reason.as_deref(), Some("busy now"));
}

#[tokio::test]
async fn a_change_that_two_write_at_once_is_held_by_both() {
    let world = World::new().await;
    let pg = world.pg_of(2).await;

    for n in 1..=50 {
        let rings = &history_of(n, Outcome::Cancelled).await[..1];
        let (one, other) = tokio::join!(pg.record(rings), pg.record(rings));

        assert_eq!(one.unwrap(), [call_id(n)]);
        assert_eq!(other.unwrap(), [call_id(n)]);
    }
}

#[tokio::test]
async fn history_is_paged_without_gaps_for_both_sides() {
    let world = World::new().await;
    let pg = world.pg_of(2).await;
    for n in 1..=7 {
        pg.record(&history_of(n, Outcome::Cancelled).await)
            .await
            .unwrap();
    }

    for who in [0, 1] {
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = pg.list_calls(&app(), &user(who), before, 3).await.unwrap();
            let Some(last) = page.last() else {
                break;
            };
            before = Some(last.id);
            seen.extend(page.iter().map(|call| call.id));
        }
        assert_eq!(seen, (1..=7).rev().map(call_id).collect::<Vec<_>>());
    }
    let stranger = UserId::new(&Uuid::new_v4().to_string()).unwrap();
    assert_eq!(pg.list_calls(&app(), &stranger, None, 3).await.unwrap(), []);
}

#[tokio::test]
async fn a_missed_call_is_told_once() {
    let world = World::new().await;
    let pg = world.pg_of(2).await;
    pg.record(&history_of(1, Outcome::NoAnswer).await)
        .await
        .unwrap();
    pg.record(&history_of(2, Outcome::Cancelled).await)
        .await
        .unwrap();
    pg.record(&history_of(3, Outcome::NoAnswer).await)
        .await
        .unwrap();
    pg.record(&history_of(4, Outcome::Rejected).await)
        .await
        .unwrap();
    pg.mark_told(&app(), &user(1), &[call_id(3)]).await.unwrap();
    let missed = async || {
        let calls = pg.claim_missed(&app(), &user(1), 10).await.unwrap();
        calls.iter().map(|call| call.id).collect::<Vec<_>>()
    };

    assert_eq!(missed().await, [call_id(1), call_id(2)]);
    assert_eq!(missed().await, []);
}
