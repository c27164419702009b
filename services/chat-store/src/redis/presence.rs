//! [`PresenceState`] on the functions of `functions/presence.lua`.

use std::time::Duration;

use chat_domain::{
    AppId, ChatError, Presence, Status, UserId,
    call::{CallId, DeviceId, GatewayId},
};
use redis::AsyncCommands as _;

use super::{
    RedisState,
    error::{RedisError, inconsistent},
    library::Request,
};
use crate::{ports::Answer, ports_calls::GATEWAY_LEASE, ports_presence::PresenceState};

/// Users of a dead gateway that one step takes care of.
const CLEARED: usize = 500;

impl RedisState {
    /// The keys of every function of presence, in its order; one more follows where it is needed.
    fn presence_keys(&self, app: &AppId, last: Option<String>) -> Vec<String> {
        let mut keys = self.keys(app);
        keys.extend([
            self.key("known"),
            self.key("looked"),
            self.key(&format!("users:{app}")),
            self.key(&format!("look:{app}")),
            self.key("presence"),
        ]);
        keys.extend(last);
        keys
    }

    fn presence(&self, function: &'static str, app: &AppId) -> Request {
        Request::new(function, &self.presence_keys(app, None)).arg(app.as_str())
    }

    /// Begins a request about a device: app, user and device are its first arguments.
    fn of_device(
        &self,
        function: &'static str,
        app: &AppId,
        user: &UserId,
        device: DeviceId,
    ) -> Request {
        let held = self.held(app, device.gateway);
        Request::new(function, &self.presence_keys(app, Some(held)))
            .arg(app.as_str())
            .arg(user.as_str())
            .text(&device)
    }

    fn held(&self, app: &AppId, gateway: GatewayId) -> String {
        self.key(&format!("held:{app}:{:x}", gateway.0))
    }

    fn pushed(&self, app: &AppId, call: CallId) -> String {
        self.key(&format!("pushed:{app}:{call}"))
    }

    /// Takes away all devices of a gateway that fell silent.
    pub(super) async fn clear(&self, app: &AppId, gateway: GatewayId) -> Result<(), ChatError> {
        let keys = self.presence_keys(app, Some(self.held(app, gateway)));
        let request = Request::new("presence_clear", &keys)
            .arg(app.as_str())
            .arg(format!("{:x}", gateway.0))
            .text(&CLEARED);
        while self.run_unguarded::<usize>(&request).await? > 0 {}
        Ok(())
    }

    async fn done(&self, request: Request) -> Result<(), ChatError> {
        let _n: usize = self.run_unguarded(&request).await?;
        Ok(())
    }

    async fn presence_of(&self, app: &AppId, users: &[UserId]) -> Result<Vec<Presence>, ChatError> {
        const FUNCTION: &str = "presence_told";
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let request = Request::new(FUNCTION, &self.presence_keys(app, None)).arg(names);
        let told: Vec<String> = self.run_unguarded(&request).await?;
        let read = |word: &String| Presence::parse(word).map_err(inconsistent(FUNCTION));
        Ok(told.iter().map(read).collect::<Result<_, RedisError>>()?)
    }

    async fn absent(&self, app: &AppId, users: &[UserId]) -> Result<Vec<UserId>, ChatError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let request = Request::new("presence_absent", &self.presence_keys(app, None)).arg(names);
        let places: Vec<usize> = self.run_unguarded(&request).await?;
        let user = |place: usize| users.get(place.checked_sub(1)?).cloned();
        Ok(places.into_iter().filter_map(user).collect())
    }

    async fn claim_push(
        &self,
        app: &AppId,
        callee: &UserId,
        call: CallId,
        ttl: Duration,
    ) -> Result<bool, ChatError> {
        let keys = self.presence_keys(app, Some(self.pushed(app, call)));
        let request = Request::new("presence_push", &keys)
            .arg(callee.as_str())
            .text(&ttl.as_millis());
        Ok(self.run_unguarded(&request).await?)
    }

    async fn was_pushed(&self, app: &AppId, call: CallId) -> Result<bool, RedisError> {
        Ok(self.commands.clone().exists(self.pushed(app, call)).await?)
    }
}

impl PresenceState for RedisState {
    fn come<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        device: DeviceId,
        again: bool,
    ) -> Answer<'a, ()> {
        let request = self
            .of_device("presence_come", app, user, device)
            .text(&u8::from(again))
            .text(&GATEWAY_LEASE.as_millis());
        Box::pin(self.done(request))
    }

    fn leave<'a>(&'a self, app: &'a AppId, user: &'a UserId, device: DeviceId) -> Answer<'a, ()> {
        Box::pin(self.done(self.of_device("presence_gone", app, user, device)))
    }

    fn choose<'a>(&'a self, app: &'a AppId, user: &'a UserId, status: Status) -> Answer<'a, ()> {
        let request = self.presence("presence_choose", app);
        Box::pin(self.done(request.arg(user.as_str()).arg(status.as_str())))
    }

    fn look<'a>(&'a self, app: &'a AppId, users: &'a [&'a UserId]) -> Answer<'a, ()> {
        let names: Vec<&str> = users.iter().map(|user| user.as_str()).collect();
        Box::pin(self.done(self.presence("presence_look", app).arg(names)))
    }

    fn settle_due<'a>(&'a self, app: &'a AppId, limit: usize) -> Answer<'a, usize> {
        let request = self.presence("presence_due", app).text(&limit);
        Box::pin(async move { Ok(self.run_unguarded(&request).await?) })
    }

    fn presence_of<'a>(&'a self, app: &'a AppId, users: &'a [UserId]) -> Answer<'a, Vec<Presence>> {
        Box::pin(self.presence_of(app, users))
    }

    fn absent<'a>(&'a self, app: &'a AppId, users: &'a [UserId]) -> Answer<'a, Vec<UserId>> {
        Box::pin(self.absent(app, users))
    }

    fn claim_push<'a>(
        &'a self,
        app: &'a AppId,
        callee: &'a UserId,
        call: CallId,
        ttl: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(self.claim_push(app, callee, call, ttl))
    }

    fn was_pushed<'a>(&'a self, app: &'a AppId, call: CallId) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.was_pushed(app, call).await?) })
    }
}
