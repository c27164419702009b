//! [`CallState`] on the functions: who asks what becomes keys and arguments, answers become values.

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError, Timestamp, UserId,
    call::{
        Call, CallId, CallRules, DeviceId, Found, GatewayId, Handed, Initiate, Notice, Parked,
        Party, Recipient, Ringing, Route, Side, Signal, SignalKind, Tell, Transition,
    },
};
use uuid::Uuid;

use super::{
    RedisState,
    error::{RedisError, inconsistent},
    library::Request,
    record,
};
use crate::{
    ports::Answer,
    ports_calls::{CallState, GATEWAY_LEASE, Logged},
    ports_presence::PresenceState,
};

/// Separates parts of keys and fields; no identifier holds a control character.
const SEPARATOR: char = '\u{1f}';
/// How many overdue calls one request may have to end before it is decided: those of two users.
const MAX_DUE: usize = 4;

impl RedisState {
    /// The keys of every function, in its order; [`Self::parked`] follow.
    pub(super) fn keys(&self, app: &AppId) -> Vec<String> {
        vec![
            self.key("ready"),
            self.key(&format!("calls:{app}")),
            self.key(&format!("latest:{app}")),
            self.key(&format!("due:{app}")),
            self.key("log"),
            self.key("leases"),
        ]
    }

    fn parked(&self, app: &AppId, user: &str) -> String {
        self.key(&format!("parked:{app}{SEPARATOR}{user}"))
    }

    /// The keys of a function about a user, and about its peer where that takes part.
    fn keys_of(&self, app: &AppId, [user, peer]: [&str; 2]) -> Vec<String> {
        let asked = self.key(&format!("asked:{app}{SEPARATOR}{user}"));
        let own = [self.parked(app, user), self.parked(app, peer), asked];
        self.keys(app).into_iter().chain(own).collect()
    }

    /// Asks a function that decides, after whatever has to end first.
    pub(super) async fn decide(
        &self,
        app: &AppId,
        request: Request,
    ) -> Result<Vec<String>, RedisError> {
        for _ in 0..MAX_DUE {
            let reply: Vec<String> = self.run(&request).await?;
            match reply.as_slice() {
                [status, member] if status == "due" => self.expire_one(app, member).await?,
                _ => return Ok(reply),
            }
        }
        Err(inconsistent(request.function)(
            "an overdue call does not end",
        ))
    }

    async fn expire_one(&self, app: &AppId, member: &str) -> Result<(), RedisError> {
        let parts: Vec<_> = member.split(SEPARATOR).collect();
        let [id, caller, callee] = parts[..] else {
            return Err(inconsistent("calls_due")("a member that is no call"));
        };
        let request = Request::new("calls_expire", &self.keys_of(app, [caller, callee]))
            .arg(app.as_str())
            .arg(id)
            .arg(member);
        let _status: Vec<String> = self.run(&request).await?;
        Ok(())
    }

    /// Begins a request of a party: app, user, peer, call and device are its first arguments, and
    /// [`Request::numbered`] ends it.
    fn of_party(&self, function: &'static str, app: &AppId, party: &Party) -> Request {
        let users = [party.user.as_str(), party.peer.as_str()];
        Request::new(function, &self.keys_of(app, users))
            .arg(app.as_str())
            .arg(&users)
            .text(&party.call.map_or_else(String::new, |id| id.to_string()))
            .text(&party.device)
    }

    async fn initiate(
        &self,
        app: &AppId,
        request: &Initiate,
        rules: CallRules,
    ) -> Result<Ringing, ChatError> {
        const FUNCTION: &str = "calls_initiate";
        if request.caller == request.callee {
            return Err(ChatError::Malformed("nobody can call themselves"));
        }
        let users = [request.caller.as_str(), request.callee.as_str()];
        let command = Request::new(FUNCTION, &self.keys_of(app, users))
            .arg(app.as_str())
            .text(&request.call)
            .arg(&users)
            .text(&request.conversation)
            .arg(request.kind.as_str())
            .text(&request.device)
            .text(&rules.ring.as_millis())
            .text(&rules.grace.as_millis())
            .text(&Parked::EARLY.as_millis())
            .text(&GATEWAY_LEASE.as_millis())
            .numbered(request.device, request.n);
        let reply = self.decide(app, command).await?;
        match words(&reply)[..] {
            ["new", id] => Ok(Ringing::New(call_id(FUNCTION, id)?)),
            ["already", id] => Ok(Ringing::Already(call_id(FUNCTION, id)?)),
            ["connected", id] => Ok(Ringing::Connected(call_id(FUNCTION, id)?)),
            ["merged", id] => Ok(Ringing::Merged(call_id(FUNCTION, id)?)),
            ["busy", id] => Ok(Ringing::Busy(call_id(FUNCTION, id)?)),
            ["late"] => Err(late()),
            _ => Err(unexpected(FUNCTION)),
        }
    }

    /// Asks for a change of a call; `None` when there is nothing to change.
    async fn change(&self, app: &AppId, request: Request) -> Result<Option<CallId>, ChatError> {
        let function = request.function;
        let reply = self.decide(app, request).await?;
        match words(&reply)[..] {
            ["ok", id] => Ok(Some(call_id(function, id)?)),
            ["nothing"] => Ok(None),
            ["unknown"] => Err(ChatError::CallNotFound),
            ["forbidden"] => Err(ChatError::Forbidden("only who is called can do that")),
            ["connected"] => Err(ChatError::Conflict("the call was answered already")),
            ["over"] => Err(ChatError::Conflict("the call is over")),
            ["late"] => Err(late()),
            _ => Err(unexpected(function)),
        }
    }

    async fn gone(
        &self,
        app: &AppId,
        user: &UserId,
        device: DeviceId,
        ago: Duration,
    ) -> Result<(), ChatError> {
        let request = self.gone_request(app, user, device);
        let request = request.arg("").text(&ago.as_millis());
        self.decide(app, request).await?;
        Ok(())
    }

    pub(super) fn gone_request(&self, app: &AppId, user: &UserId, device: DeviceId) -> Request {
        Request::new("calls_gone", &self.keys_of(app, [user.as_str(); 2]))
            .arg(user.as_str())
            .text(&device)
    }

    async fn back(
        &self,
        app: &AppId,
        user: &UserId,
        device: DeviceId,
        replaces: Option<DeviceId>,
        age: Duration,
    ) -> Result<Found, ChatError> {
        const FUNCTION: &str = "calls_back";
        let request = Request::new(FUNCTION, &self.keys_of(app, [user.as_str(); 2]))
            .arg(user.as_str())
            .text(&device)
            .text(&replaces.map_or_else(String::new, |device| device.to_string()))
            .text(&GATEWAY_LEASE.as_millis())
            .text(&age.as_millis());
        let reply = self.decide(app, request).await?;
        let (call, tell, goes_on) = match words(&reply)[..] {
            ["nothing"] => return Ok(Found::default()),
            ["rings", _, json] => (read(FUNCTION, json)?, Some(Tell::Incoming), None),
            ["taken", since, json] => {
                let call = read(FUNCTION, json)?;
                let since = Timestamp(number(FUNCTION, since)?);
                let side = call.side_of(user).ok_or_else(|| unexpected(FUNCTION))?;
                let (tell, goes_on) = (call.missed(side, since), call.as_heard());
                (call, tell, goes_on)
            }
            _ => return Err(unexpected(FUNCTION)),
        };
        let notice = tell.map(|tell| Notice {
            call: call.id,
            version: call.version,
            to: Recipient::Device(user.clone(), device),
            tell,
        });
        Ok(Found {
            notices: notice.into_iter().collect(),
            goes_on,
        })
    }

    async fn signal(
        &self,
        app: &AppId,
        party: &Party,
        signal: &Signal,
    ) -> Result<Route, ChatError> {
        const FUNCTION: &str = "calls_signal";
        let kind = match signal.kind() {
            SignalKind::Offer => "offer",
            SignalKind::Answer => "answer",
            SignalKind::Candidate => "candidate",
        };
        let users = [party.user.as_str(), party.peer.as_str()];
        let request = Request::new(FUNCTION, &self.keys_of(app, users))
            .arg(&users)
            .text(&party.device)
            .arg(kind)
            .arg(signal.payload())
            .text(&Parked::EARLY.as_millis())
            .text(&Parked::MAX_QUEUE)
            .text(&party.call.map_or_else(String::new, |id| id.to_string()))
            .numbered(party.device, party.n);
        let reply = self.decide(app, request).await?;
        match words(&reply)[..] {
            ["relay", call, _peer, device, place] => Ok(Route::Relay {
                call: call_id(FUNCTION, call)?,
                to: (party.peer.clone(), device_id(FUNCTION, device)?),
                place: number(FUNCTION, place)?,
            }),
            ["parked"] => Ok(Route::Parked),
            // Nobody waits for the answer to a late one any more.
            ["dropped" | "late"] => Ok(Route::Dropped),
            ["full"] => Err(ChatError::TooLarge("the list of signals")),
            _ => Err(unexpected(FUNCTION)),
        }
    }

    async fn waiting(
        &self,
        app: &AppId,
        call: &Call,
        side: Side,
    ) -> Result<Option<Handed>, ChatError> {
        const FUNCTION: &str = "calls_waiting";
        let (from, to) = (&call.leg(side).user, &call.leg(side.other()).user);
        let request = Request::new(FUNCTION, &self.keys_of(app, [from.as_str(); 2]))
            .text(&call.id)
            .arg(side.as_str());
        let reply: Vec<String> = self.run(&request).await?;
        let (device, first, signals) = match reply.as_slice() {
            [nothing] if nothing == "nothing" => return Ok(None),
            [waiting, device, first, signals @ ..] if waiting == "waiting" => {
                (device, first, signals)
            }
            _ => return Err(unexpected(FUNCTION)),
        };
        let signals = signals.iter().map(|signal| {
            let kind = match signal.get(..1) {
                Some("o") => SignalKind::Offer,
                Some("a") => SignalKind::Answer,
                Some("c") => SignalKind::Candidate,
                _ => return Err(unexpected(FUNCTION)),
            };
            Signal::new(kind, signal.get(1..).unwrap_or_default())
        });
        Ok(Some(Handed {
            call: call.id,
            from: from.clone(),
            to: (to.clone(), device_id(FUNCTION, device)?),
            first: number(FUNCTION, first)?,
            signals: signals.collect::<Result<_, _>>()?,
        }))
    }

    async fn handed(&self, app: &AppId, handed: &Handed) -> Result<(), ChatError> {
        let from = handed.from.as_str();
        let request = Request::new("calls_handed", &self.keys_of(app, [from; 2]))
            .text(&handed.call)
            .arg(from)
            .text(&handed.first)
            .text(&handed.signals.len());
        let _status: Vec<String> = self.run(&request).await?;
        Ok(())
    }

    async fn find_json(&self, app: &AppId, id: CallId) -> Result<Option<String>, ChatError> {
        let request = Request::new("calls_find", &self.keys(app)).text(&id);
        let [json]: [Option<String>; 1] = self.run(&request).await?;
        Ok(json)
    }

    async fn find(&self, app: &AppId, id: CallId) -> Result<Option<Call>, ChatError> {
        let json = self.find_json(app, id).await?;
        Ok(json.map(|json| read("calls_find", &json)).transpose()?)
    }

    async fn find_last(&self, app: &AppId, id: CallId) -> Result<Option<Transition>, ChatError> {
        let json = self.find_json(app, id).await?;
        let last = json.map(|json| record::read_last(&json)).transpose();
        Ok(last.map_err(inconsistent("calls_find"))?)
    }

    async fn expire(&self, app: &AppId, limit: usize) -> Result<usize, ChatError> {
        let request = Request::new("calls_due", &self.keys(app)).text(&limit);
        let members: Vec<String> = self.run(&request).await?;
        for member in &members {
            self.expire_one(app, member).await?;
        }
        Ok(members.len())
    }

    async fn lag(&self) -> Result<Duration, ChatError> {
        const FUNCTION: &str = "calls_lag";
        let request = Request::new(FUNCTION, &vec![self.key("log"); 6]);
        let millis: u64 = self.run_unguarded(&request).await?;
        Ok(Duration::from_millis(millis))
    }

    async fn restore(&self, calls: &[Logged]) -> Result<(), ChatError> {
        for Logged { app, transition } in calls {
            let call = &transition.call;
            let (change, detail) = record::write_change(transition.change);
            let users = [call.caller.user.as_str(), call.callee.user.as_str()];
            let json = record::write(call).map_err(inconsistent("calls_restore"))?;
            let request = Request::new("calls_restore", &self.keys_of(app, users))
                .arg(app.as_str())
                .arg(json)
                .arg(change)
                .arg(detail)
                .text(&GATEWAY_LEASE.as_millis());
            let _status: Vec<String> = self.run_unguarded(&request).await?;
            // Who is in a call is busy.
            let users = [&call.caller.user, &call.callee.user];
            PresenceState::look(self, app, &users).await?;
        }
        Ok(())
    }
}

fn words(reply: &[String]) -> Vec<&str> {
    reply.iter().map(String::as_str).collect()
}

pub(super) fn read(function: &'static str, json: &str) -> Result<Call, RedisError> {
    record::read(json).map_err(inconsistent(function))
}

fn call_id(function: &'static str, text: &str) -> Result<CallId, RedisError> {
    Uuid::try_parse(text)
        .map(CallId)
        .map_err(inconsistent(function))
}

fn device_id(function: &'static str, text: &str) -> Result<DeviceId, RedisError> {
    DeviceId::parse(text).map_err(inconsistent(function))
}

fn number<T>(function: &'static str, text: &str) -> Result<T, RedisError>
where
    T: std::str::FromStr,
    T::Err: Into<chat_domain::BoxError>,
{
    text.parse().map_err(inconsistent(function))
}

fn late() -> ChatError {
    ChatError::Conflict("the device asked for something else since, or is gone")
}

fn unexpected(function: &'static str) -> ChatError {
    inconsistent(function)("an answer that it never gives").into()
}

impl CallState for RedisState {
    fn initiate<'a>(
        &'a self,
        app: &'a AppId,
        request: &'a Initiate,
        rules: CallRules,
    ) -> Answer<'a, Ringing> {
        Box::pin(self.initiate(app, request, rules))
    }

    fn accept<'a>(&'a self, app: &'a AppId, party: &'a Party) -> Answer<'a, CallId> {
        Box::pin(async move {
            let request = self.of_party("calls_accept", app, party);
            let request = request.text(&GATEWAY_LEASE.as_millis());
            let request = request.numbered(party.device, party.n);
            let accepted = self.change(app, request).await?;
            accepted.ok_or_else(|| unexpected("calls_accept"))
        })
    }

    fn reject<'a>(
        &'a self,
        app: &'a AppId,
        party: &'a Party,
        reason: Option<Arc<str>>,
    ) -> Answer<'a, CallId> {
        Box::pin(async move {
            let request = self.of_party("calls_reject", app, party);
            let request = request.arg(reason.as_deref().unwrap_or_default());
            let request = request.numbered(party.device, party.n);
            let rejected = self.change(app, request).await?;
            rejected.ok_or_else(|| unexpected("calls_reject"))
        })
    }

    fn hang_up<'a>(&'a self, app: &'a AppId, party: &'a Party) -> Answer<'a, Option<CallId>> {
        let request = self.of_party("calls_hang_up", app, party);
        let request = request.text(&party.age.as_millis());
        Box::pin(self.change(app, request.numbered(party.device, party.n)))
    }

    fn gone<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        ago: Duration,
    ) -> Answer<'a, ()> {
        Box::pin(self.gone(app, user, device, ago))
    }

    fn back<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        replaces: Option<DeviceId>,
        age: Duration,
    ) -> Answer<'a, Found> {
        Box::pin(self.back(app, user, device, replaces, age))
    }

    fn signal<'a>(
        &'a self,
        app: &'a AppId,
        party: &'a Party,
        signal: &'a Signal,
    ) -> Answer<'a, Route> {
        Box::pin(self.signal(app, party, signal))
    }

    fn waiting<'a>(
        &'a self,
        app: &'a AppId,
        call: &'a Call,
        side: Side,
    ) -> Answer<'a, Option<Handed>> {
        Box::pin(self.waiting(app, call, side))
    }

    fn handed<'a>(&'a self, app: &'a AppId, handed: &'a Handed) -> Answer<'a, ()> {
        Box::pin(self.handed(app, handed))
    }

    fn find<'a>(&'a self, app: &'a AppId, id: CallId) -> Answer<'a, Option<Call>> {
        Box::pin(self.find(app, id))
    }

    fn find_last<'a>(&'a self, app: &'a AppId, id: CallId) -> Answer<'a, Option<Transition>> {
        Box::pin(self.find_last(app, id))
    }

    fn expire<'a>(&'a self, app: &'a AppId, limit: usize) -> Answer<'a, usize> {
        Box::pin(self.expire(app, limit))
    }

    fn alive(&self, gateway: GatewayId) -> Answer<'_, bool> {
        Box::pin(self.alive(gateway))
    }

    fn bury<'a>(&'a self, apps: &'a [AppId]) -> Answer<'a, usize> {
        Box::pin(self.bury(apps))
    }

    fn lag(&self) -> Answer<'_, Duration> {
        Box::pin(self.lag())
    }

    fn restore<'a>(&'a self, calls: &'a [Logged]) -> Answer<'a, ()> {
        Box::pin(self.restore(calls))
    }
}
