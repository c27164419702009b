//! Gateways that live, and those that fell silent: their devices are gone.

use std::time::Duration;

use chat_domain::{
    AppId, ChatError, UserId,
    call::{DeviceId, GatewayId},
};
use redis::AsyncIter;

use super::{
    RedisState,
    calls::read,
    error::{RedisError, inconsistent},
    library::Request,
};
use crate::ports_calls::GATEWAY_LEASE;

/// Gateways looked at in one round.
const MAX_LAPSED: usize = 16;
/// How long nobody may have looked before silence means nothing: Redis, NATS or all stores were away.
const PATIENCE: Duration = Duration::from_secs(3);

impl RedisState {
    pub(super) async fn alive(&self, gateway: GatewayId) -> Result<bool, ChatError> {
        let request = self
            .of_gateways("calls_alive")
            .arg(format!("{:x}", gateway.0))
            .text(&GATEWAY_LEASE.as_millis());
        Ok(self.run_unguarded(&request).await?)
    }

    pub(super) async fn bury(&self, apps: &[AppId]) -> Result<usize, ChatError> {
        const FUNCTION: &str = "calls_lapsed";
        let request = self
            .of_gateways(FUNCTION)
            .text(&MAX_LAPSED)
            .text(&GATEWAY_LEASE.as_millis())
            .text(&PATIENCE.as_millis());
        let lapsed: Vec<(String, i64)> = self.run_unguarded(&request).await?;
        for (name, until) in &lapsed {
            let id = u64::from_str_radix(name, 16).map_err(inconsistent(FUNCTION))?;
            // It spoke last when it took this lease.
            let lease = i64::try_from(GATEWAY_LEASE.as_millis()).unwrap_or(i64::MAX);
            let heard_until = until.saturating_sub(lease);
            for app in apps {
                self.clear(app, GatewayId(id)).await?;
                for (user, device) in self.devices_of(app, GatewayId(id)).await? {
                    let request = self.gone_request(app, &user, device).text(&heard_until);
                    self.decide(app, request).await?;
                }
            }
            let request = self.of_gateways("calls_bury").arg(name);
            let _removed: u32 = self.run_unguarded(&request).await?;
        }
        Ok(lapsed.len())
    }

    /// Returns every device of a gateway that is in a call. Reads all calls: gateways die rarely.
    async fn devices_of(
        &self,
        app: &AppId,
        gateway: GatewayId,
    ) -> Result<Vec<(UserId, DeviceId)>, ChatError> {
        let mut connection = self.commands.clone();
        let mut scan = redis::cmd("HSCAN");
        scan.arg(self.key(&format!("calls:{app}")))
            .cursor_arg(0)
            .arg("COUNT")
            .arg(256);
        let mut calls: AsyncIter<'_, (String, String)> = scan
            .iter_async(&mut connection)
            .await
            .map_err(RedisError::from)?;
        let mut devices = Vec::new();
        while let Some(entry) = calls.next_item().await {
            let (_id, json) = entry.map_err(RedisError::from)?;
            let call = read("calls", &json)?;
            let legs = [&call.caller, &call.callee]
                .into_iter()
                .filter(|_| call.is_live());
            devices.extend(legs.filter_map(|leg| {
                let device = leg.device.filter(|device| device.gateway == gateway)?;
                Some((leg.user.clone(), device))
            }));
        }
        Ok(devices)
    }

    fn of_gateways(&self, function: &'static str) -> Request {
        // In the order of the other functions, of which these need the leases alone.
        let mut keys = vec![self.key("leases"); 6];
        keys.extend([self.key("known"), self.key("looked")]);
        Request::new(function, &keys)
    }
}
