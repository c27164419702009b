//! The two states of calls that one suite holds to the same promises: the functions in Redis, and
//! the rules themselves behind the same port.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError, ConversationId, Timestamp, UserId,
    call::{
        Call, CallId, CallKind, CallRules, DeviceId, Found, GatewayId, Handed, Initiate, Party,
        Ringing, Route, Side, Signal, SignalKind, Switchboard, Transition,
    },
};
use chat_store::{
    ports::{Answer, Sink},
    ports_calls::{CallHistory, CallState, GATEWAY_LEASE, Logged},
    redis::RedisState,
};
use parking_lot::Mutex;
use test_kit::{eventually, redis::Namespace};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

pub(crate) const RULES: CallRules = CallRules {
    ring: Duration::from_secs(1_004),
    grace: Duration::from_secs(304),
};

pub(crate) fn app() -> AppId {
    AppId::new("consult").unwrap()
}

pub(crate) fn user(n: usize) -> UserId {
    // Ids may hold anything but control characters.
    UserId::new(&format!("user:{n} é")).unwrap()
}

pub(crate) fn device(user: usize, n: usize) -> DeviceId {
    DeviceId {
        gateway: GatewayId(0xfeed_0000_0000_0000 + n as u64),
        socket: (user * 16 + n) as u64,
    }
}

pub(crate) fn call_id(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

/// User `caller` calls user `callee` from its device `n`.
pub(crate) fn request(call: u128, caller: usize, n: usize, callee: usize) -> Initiate {
    Initiate {
        call: call_id(call),
        caller: user(caller),
        device: device(caller, n),
        callee: user(callee),
        conversation: ConversationId(Uuid::from_u128(7)),
        kind: CallKind::Video,
        n: 0,
    }
}

pub(crate) fn party(who: usize, n: usize, peer: usize) -> Party {
    Party {
        user: user(who),
        device: device(who, n),
        peer: user(peer),
        call: None,
        age: Duration::MAX,
        n: 0,
    }
}

pub(crate) fn signal(kind: SignalKind, payload: &str) -> Signal {
    Signal::new(kind, payload).unwrap()
}

/// A state of calls whose time a test can move.
pub(crate) trait Subject {
    fn state(&self) -> &dyn CallState;

    /// Lets time pass.
    fn pass(&self, time: Duration);

    /// Everything logged so far.
    fn logged(&self) -> impl Future<Output = Vec<Transition>>;
}

/// The rules behind the port.
#[derive(Default)]
pub(crate) struct MemoryCalls {
    inner: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    board: Switchboard,
    leases: HashMap<GatewayId, Timestamp>,
    log: Vec<Transition>,
    now: i64,
}

impl Memory {
    fn act<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard, Timestamp, &mut Vec<Transition>) -> T,
    ) -> T {
        self.now += 1;
        act(&mut self.board, Timestamp(self.now), &mut self.log)
    }
}

impl MemoryCalls {
    fn act<'a, T: Send + 'a>(
        &self,
        act: impl FnOnce(&mut Switchboard, Timestamp, &mut Vec<Transition>) -> Result<T, ChatError>,
    ) -> Answer<'a, T> {
        let outcome = self.inner.lock().act(act);
        Box::pin(async { outcome })
    }
}

impl CallState for MemoryCalls {
    fn initiate<'a>(
        &'a self,
        _app: &'a AppId,
        request: &'a Initiate,
        rules: CallRules,
    ) -> Answer<'a, Ringing> {
        self.act(|board, now, log| board.initiate(request, rules, now, log))
    }

    fn accept<'a>(&'a self, _app: &'a AppId, party: &'a Party) -> Answer<'a, CallId> {
        self.act(|board, now, log| board.accept(party, now, log))
    }

    fn reject<'a>(
        &'a self,
        _app: &'a AppId,
        party: &'a Party,
        reason: Option<Arc<str>>,
    ) -> Answer<'a, CallId> {
        self.act(|board, now, log| board.reject(party, reason, now, log))
    }

    fn hang_up<'a>(&'a self, _app: &'a AppId, party: &'a Party) -> Answer<'a, Option<CallId>> {
        self.act(|board, now, log| board.hang_up(party, now, log))
    }

    fn gone<'a>(
        &'a self,
        _app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        ago: Duration,
    ) -> Answer<'a, ()> {
        self.act(|board, now, log| {
            board.gone(user, device, ago, now, log);
            Ok(())
        })
    }

    fn back<'a>(
        &'a self,
        _app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        replaces: Option<DeviceId>,
        age: Duration,
    ) -> Answer<'a, Found> {
        self.act(|board, now, log| Ok(board.back(user, device, replaces, age, now, log)))
    }

    fn signal<'a>(
        &'a self,
        _app: &'a AppId,
        party: &'a Party,
        signal: &'a Signal,
    ) -> Answer<'a, Route> {
        self.act(|board, now, log| board.signal(party, signal.clone(), now, log))
    }

    fn waiting<'a>(
        &'a self,
        _app: &'a AppId,
        call: &'a Call,
        side: Side,
    ) -> Answer<'a, Option<Handed>> {
        self.act(|board, _, _| Ok(board.waiting(call.id, side)))
    }

    fn handed<'a>(&'a self, _app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()> {
        self.act(|board, _, _| {
            board.handed(handed);
            Ok(())
        })
    }

    fn find<'a>(&'a self, _app: &'a AppId, id: CallId) -> Answer<'a, Option<Call>> {
        self.act(|board, _, _| Ok(board.call(id).cloned()))
    }

    fn find_last<'a>(&'a self, _app: &'a AppId, id: CallId) -> Answer<'a, Option<Transition>> {
        let inner = self.inner.lock();
        let last = inner.log.iter().rfind(|entry| entry.call.id == id);
        let last = last.cloned();
        Box::pin(async { Ok(last) })
    }

    fn expire<'a>(&'a self, _app: &'a AppId, _limit: usize) -> Answer<'a, usize> {
        self.act(|board, now, log| {
            board.expire(now, log);
            Ok(0)
        })
    }

    fn alive(&self, gateway: GatewayId) -> Answer<'_, bool> {
        let mut inner = self.inner.lock();
        let until = Timestamp(inner.now).after(GATEWAY_LEASE);
        let is_new = inner.leases.insert(gateway, until).is_none();
        Box::pin(async move { Ok(is_new) })
    }

    fn bury<'a>(&'a self, _apps: &'a [AppId]) -> Answer<'a, usize> {
        let mut inner = self.inner.lock();
        let now = Timestamp(inner.now);
        let legs: Vec<_> = inner
            .board
            .calls()
            .filter(|call| call.is_live())
            .flat_map(|call| [call.caller.clone(), call.callee.clone()])
            .collect();
        let lapsed = |gateway| inner.leases.get(&gateway).filter(|until| **until <= now);
        let dead: Vec<_> = legs
            .into_iter()
            .filter_map(|leg| {
                let device = leg.device?;
                let until = lapsed(device.gateway)?;
                let lease = i64::try_from(GATEWAY_LEASE.as_millis()).unwrap();
                Some((leg.user, device, Timestamp(until.0 - lease)))
            })
            .collect();
        for (user, device, heard) in &dead {
            inner.act(|board, now, log| board.lost(user, *device, *heard, now, log));
        }
        Box::pin(async move { Ok(dead.len()) })
    }

    fn lag(&self) -> Answer<'_, Duration> {
        Box::pin(async { Ok(Duration::ZERO) })
    }

    fn restore<'a>(&'a self, _calls: &'a [Logged]) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Subject for MemoryCalls {
    fn state(&self) -> &dyn CallState {
        self
    }

    fn pass(&self, time: Duration) {
        let mut inner = self.inner.lock();
        inner.now = Timestamp(inner.now).after(time).0;
    }

    async fn logged(&self) -> Vec<Transition> {
        self.inner.lock().log.clone()
    }
}

/// A history without a past.
pub(crate) struct NoHistory;

impl CallHistory for NoHistory {
    fn record<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, Vec<CallId>> {
        let ids = batch
            .iter()
            .map(|logged| logged.transition.call.id)
            .collect();
        Box::pin(async { Ok(ids) })
    }

    fn list_unfinished(&self, _before: Option<CallId>, _limit: u32) -> Answer<'_, Vec<Logged>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn mark_followed<'a>(&'a self, calls: &'a [CallId]) -> Answer<'a, Vec<CallId>> {
        Box::pin(async { Ok(calls.to_vec()) })
    }

    fn list_calls<'a>(
        &'a self,
        _app: &'a AppId,
        _user: &'a UserId,
        _before: Option<CallId>,
        _limit: u32,
    ) -> Answer<'a, Vec<Call>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn find_call<'a>(&'a self, _app: &'a AppId, _id: CallId) -> Answer<'a, Option<Call>> {
        Box::pin(async { Ok(None) })
    }

    fn claim_missed<'a>(
        &'a self,
        _app: &'a AppId,
        _callee: &'a UserId,
        _limit: u32,
    ) -> Answer<'a, Vec<Call>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn mark_told<'a>(
        &'a self,
        _app: &'a AppId,
        _callee: &'a UserId,
        _calls: &'a [CallId],
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Keeps what comes out of the log.
#[derive(Default)]
pub(crate) struct Collected(Mutex<Vec<Logged>>);

impl Collected {
    pub(crate) fn transitions(&self) -> Vec<Transition> {
        let logged = self.0.lock();
        logged
            .iter()
            .map(|logged| logged.transition.clone())
            .collect()
    }
}

impl Sink<Logged> for Collected {
    fn take<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, ()> {
        self.0.lock().extend_from_slice(batch);
        Box::pin(async { Ok(()) })
    }
}

/// Reads the log in the background until the guard goes.
pub(crate) fn read_log(
    calls: &RedisState,
    consumer: &str,
    sink: Arc<dyn Sink<Logged>>,
) -> DropGuard {
    let stop = CancellationToken::new();
    let (calls, consumer, stopped) = (calls.clone(), consumer.to_owned(), stop.clone());
    tokio::spawn(async move { calls.read_calls(&consumer, sink.as_ref(), &stopped).await });
    stop.drop_guard()
}

/// The functions, on keys of the test's own.
pub(crate) struct Shared {
    pub(crate) namespace: Namespace,
    pub(crate) calls: RedisState,
    collected: Arc<Collected>,
    _reader: DropGuard,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let namespace = Namespace::new().unwrap();
        let calls = another(&namespace);
        let collected = Arc::new(Collected::default());
        Self {
            _reader: read_log(&calls, "reader", collected.clone()),
            namespace,
            calls,
            collected,
        }
    }
}

/// Another replica on the same keys, with a connection of its own.
pub(crate) fn another(namespace: &Namespace) -> RedisState {
    RedisState::new(namespace.url(), namespace.name(), Arc::new(NoHistory)).unwrap()
}

/// Waits until every entry of the log was taken and confirmed.
pub(crate) async fn drained(namespace: &Namespace) {
    let mut connection = namespace.connection().unwrap();
    let log = format!("{{calls{}}}:log", namespace.name());
    eventually("the log is drained", async || {
        let length: usize = redis::cmd("XLEN").arg(&log).query(&mut connection).unwrap();
        (length == 0).then_some(())
    })
    .await;
}

impl Subject for Shared {
    fn state(&self) -> &dyn CallState {
        &self.calls
    }

    /// The server's clock cannot be moved, so the past is.
    fn pass(&self, time: Duration) {
        const SHIFT: &str = r"
            local by = tonumber(ARGV[1])
            local calls = redis.call('HGETALL', KEYS[1])
            for i = 1, #calls, 2 do
                local call = cjson.decode(calls[i + 1])
                for _, of in ipairs({ call, call.caller, call.callee }) do
                    for _, moment in ipairs({
                        'started_at', 'rings_until', 'answered_at', 'ended_at', 'gone_since', 'heard_until', 'unseen_from' }) do
                        if of[moment] then of[moment] = of[moment] - by end
                    end
                end
                redis.call('HSET', KEYS[1], calls[i], cjson.encode(call))
            end
            for _, key in ipairs({ KEYS[2], KEYS[3] }) do
                for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                    redis.call('ZINCRBY', key, -by, member)
                end
            end
            for i = 4, #KEYS do
                for _, field in ipairs(redis.call('HKEYS', KEYS[i])) do
                    if string.match(field, '\31at$') then
                        redis.call('HINCRBY', KEYS[i], field, -by)
                    end
                end
            end";
        let root = format!("{{calls{}}}", self.namespace.name());
        let parked = (0..4).map(|n| format!("{root}:parked:{}\u{1f}{}", app(), user(n)));
        let keys: Vec<String> = [
            format!("{root}:calls:{}", app()),
            format!("{root}:due:{}", app()),
            format!("{root}:leases"),
        ]
        .into_iter()
        .chain(parked)
        .collect();
        let mut connection = self.namespace.connection().unwrap();
        let mut eval = redis::cmd("EVAL");
        eval.arg(SHIFT)
            .arg(keys.len())
            .arg(&keys)
            .arg(time.as_millis().to_string());
        eval.exec(&mut connection).unwrap();
    }

    async fn logged(&self) -> Vec<Transition> {
        drained(&self.namespace).await;
        self.collected.transitions()
    }
}
