//! The state of presence, with a clock that a test can move, and one that is away.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError, Presence, Status, UserId,
    call::{CallId, DeviceId},
};
use chat_store::{
    ports::{Answer, Sink},
    ports_presence::{Attended, PresenceState},
    redis::RedisState,
};
use parking_lot::Mutex;
use test_kit::{eventually, redis::Namespace};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A state that is away.
pub(crate) struct Nowhere;

fn away<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async {
        Err(ChatError::Unavailable {
            dependency: "redis",
            source: "away".into(),
        })
    })
}

impl PresenceState for Nowhere {
    fn come<'a>(
        &'a self,
        _app: &'a AppId,
        _user: &'a UserId,
        _device: DeviceId,
        _again: bool,
    ) -> Answer<'a, ()> {
        away()
    }

    fn leave<'a>(
        &'a self,
        _app: &'a AppId,
        _user: &'a UserId,
        _device: DeviceId,
    ) -> Answer<'a, ()> {
        away()
    }

    fn choose<'a>(&'a self, _app: &'a AppId, _user: &'a UserId, _status: Status) -> Answer<'a, ()> {
        away()
    }

    fn look<'a>(&'a self, _app: &'a AppId, _users: &'a [&'a UserId]) -> Answer<'a, ()> {
        away()
    }

    fn settle_due<'a>(&'a self, _app: &'a AppId, _limit: usize) -> Answer<'a, usize> {
        away()
    }

    fn presence_of<'a>(
        &'a self,
        _app: &'a AppId,
        _users: &'a [UserId],
    ) -> Answer<'a, Vec<Presence>> {
        away()
    }

    fn absent<'a>(&'a self, _app: &'a AppId, _users: &'a [UserId]) -> Answer<'a, Vec<UserId>> {
        away()
    }

    fn claim_push<'a>(
        &'a self,
        _app: &'a AppId,
        _callee: &'a UserId,
        _call: CallId,
        _ttl: Duration,
    ) -> Answer<'a, bool> {
        away()
    }

    fn was_pushed<'a>(&'a self, _app: &'a AppId, _call: CallId) -> Answer<'a, bool> {
        away()
    }
}

/// Moves everything that the state remembers of presence and gateways into the past.
pub(crate) fn pass(namespace: &Namespace, app: &AppId, time: Duration) {
    const SHIFT: &str = r"
        local by = tonumber(ARGV[1])
        local users = redis.call('HGETALL', KEYS[1])
        for i = 1, #users, 2 do
            local user = cjson.decode(users[i + 1])
            for _, moment in ipairs({ 'left_at', 'told_at' }) do
                if user[moment] then user[moment] = user[moment] - by end
            end
            redis.call('HSET', KEYS[1], users[i], cjson.encode(user))
        end
        for _, key in ipairs({ KEYS[2], KEYS[3] }) do
            for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                redis.call('ZINCRBY', key, -by, member)
            end
        end";
    let root = format!("{{calls{}}}", namespace.name());
    let keys = [
        format!("{root}:users:{app}"),
        format!("{root}:look:{app}"),
        format!("{root}:leases"),
    ];
    let mut eval = redis::cmd("EVAL");
    eval.arg(SHIFT)
        .arg(keys.len())
        .arg(&keys)
        .arg(time.as_millis().to_string());
    eval.exec(&mut namespace.connection().unwrap()).unwrap();
}

/// Waits until every entry of a log was taken and confirmed.
pub(crate) async fn drained(namespace: &Namespace, log: &str) {
    let mut connection = namespace.connection().unwrap();
    let log = format!("{{calls{}}}:{log}", namespace.name());
    eventually("the log is drained", async || {
        let length: usize = redis::cmd("XLEN").arg(&log).query(&mut connection).unwrap();
        (length == 0).then_some(())
    })
    .await;
}

/// Reads the log of presence in the background until the guard goes.
pub(crate) fn read_presence(
    state: &RedisState,
    consumer: &str,
    sink: Arc<dyn Sink<Attended>>,
) -> DropGuard {
    let stop = CancellationToken::new();
    let (state, consumer, stopped) = (state.clone(), consumer.to_owned(), stop.clone());
    tokio::spawn(async move {
        state
            .read_presence(&consumer, sink.as_ref(), &stopped)
            .await;
    });
    stop.drop_guard()
}

/// Keeps what comes out of the log.
#[derive(Default)]
pub(crate) struct Collected(pub(crate) Mutex<Vec<Attended>>);

impl Sink<Attended> for Collected {
    fn take<'a>(&'a self, batch: &'a [Attended]) -> Answer<'a, ()> {
        self.0.lock().extend_from_slice(batch);
        Box::pin(async { Ok(()) })
    }
}

impl Collected {
    pub(crate) fn all(&self) -> Vec<Attended> {
        self.0.lock().clone()
    }
}
