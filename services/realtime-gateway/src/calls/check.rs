//! Devices that ring or are in a call ask, every few seconds, what became of it.
//!
//! News of calls has no number: what a broker lost is missed by nobody, and after a loss of the shared
//! state nobody repeats it. The row of a call outlives both, and the stores answer from there. How
//! news usually comes is [`Calls::notice`]; who comes and goes is [`presence`](super::presence)'s.

use std::time::Duration;

use chat_domain::call::Heard;
use chat_proto::v1;
use futures_util::{StreamExt as _, stream};

use super::{Calls, Device, counts_as_missed, frames};
use crate::{delivery::DelayLine, metrics::Metric, session::ChatSocket};

/// How many devices may wait to ask, at each pace.
const CAPACITY: usize = 100_000;
/// How many of them are looked at at once.
const BATCH: usize = 256;
/// How many ask at the same time.
const WIDTH: usize = 32;

/// How often a device asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for it to ring, or hears it ring.
    Ringing,
    /// The two notice themselves that the other is gone.
    Connected,
}

impl Pace {
    /// Returns how often a device asks to whom these calls go on; `None` if there are none.
    pub(super) fn of(calls: impl Iterator<Item = Heard>) -> Option<Self> {
        let are_connected = calls
            .map(|heard| heard.is_connected)
            .reduce(|one, other| one && other)?;
        Some(if are_connected {
            Self::Connected
        } else {
            Self::Ringing
        })
    }

    const fn delay(self) -> Duration {
        match self {
            Self::Ringing => Duration::from_secs(5),
            Self::Connected => Duration::from_secs(20),
        }
    }

    pub(super) const fn millis(self) -> u64 {
        self.delay().as_secs() * 1_000
    }
}

/// The devices that will ask.
#[derive(Debug)]
pub(super) struct Checks {
    ringing: DelayLine<ChatSocket>,
    connected: DelayLine<ChatSocket>,
}

impl Checks {
    pub(super) const fn new() -> Self {
        Self {
            ringing: DelayLine::new(Pace::Ringing.delay(), CAPACITY),
            connected: DelayLine::new(Pace::Connected.delay(), CAPACITY),
        }
    }
}

impl Calls {
    /// Has a device ask later what became of the calls that go on there.
    pub(super) fn plan_check(&self, socket: &ChatSocket, device: &mut Device) {
        let has_room = match device.plan_check(self.presence.now_ms()) {
            None => true,
            Some(Pace::Ringing) => self.checks.ringing.push(socket.clone()),
            Some(Pace::Connected) => self.checks.connected.push(socket.clone()),
        };
        if !has_room {
            metrics::counter!(Metric::CallWorkDropped.name()).increment(1);
        }
    }

    /// Asks for the devices whose time has come. Runs until dropped.
    pub(super) async fn check(&self) {
        loop {
            let due = tokio::select! {
                due = self.checks.ringing.due(BATCH) => due,
                due = self.checks.connected.due(BATCH) => due,
            };
            let each = |socket| self.check_calls_of(socket);
            stream::iter(due).for_each_concurrent(WIDTH, each).await;
        }
    }

    async fn check_calls_of(&self, socket: ChatSocket) {
        let session = socket.session();
        let calls = session.device().lock().begin_check(self.presence.now_ms());
        if calls.is_empty() || !socket.is_open() {
            return;
        }
        let user = session.key();
        let asked = self.store.check_calls(&user, self.device(&socket), &calls);
        match asked.await {
            Ok(notices) => {
                for (notice, call) in notices {
                    if *notice.to.user() != user.user {
                        let body = v1::envelope::Body::CallNotice((&notice, &call).into());
                        self.publish(&user.app, notice.to.user(), body);
                        continue;
                    }
                    let Ok(frames) = frames(&call, &user.user, notice.tell) else {
                        tracing::warn!("an answer about a call of others");
                        continue;
                    };
                    if self.tell(&socket, &notice, &frames) {
                        metrics::counter!(Metric::CallNewsFound.name()).increment(1);
                        if counts_as_missed(&call, &user.user) {
                            self.presence.told(&socket, call.id);
                        }
                    }
                }
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "asked later");
            }
        }
        self.plan_check(&socket, &mut session.device().lock());
    }
}
