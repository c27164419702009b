//! Calls as the devices here see them: what the stores decided, told to the right sockets, once and
//! in order.
//!
//! [`Fence`] decides what a device hears and when, [`Calls`] puts it on the wire, and its
//! [`presence`] half keeps the stores informed of who is here. Nothing here decides about a call,
//! and nothing is durable: kill the gateway, and the stores note that its devices are gone.

mod check;
mod device;
mod fence;
mod holds;
mod lane;
mod presence;

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, Dialect, UserId,
    call::{CallId, DeviceId, GatewayId, Handed, Notice, Outcome, Recipient, Summary, Tell},
};
use chat_proto::{WireError, subject, v1};
use dialects::consult::{self, CallFacts};
use prost::Message as _;
use service_kit::TraceParent;
use socketio_protocol::Frame;

pub use device::{Device, Farewell};
pub use fence::{Fence, Passed};

use self::{check::Checks, holds::Holds, presence::Presence};
use crate::{
    metrics::Metric,
    ports::Publisher,
    registry::{Registry, UserKey},
    session::ChatSocket,
    store::Store,
    transport::{Class, Sent},
    wire,
};

/// How many devices may have signals waiting.
const MAX_WAITING: usize = 100_000;

/// Calls at this gateway.
pub struct Calls {
    registry: Arc<Registry>,
    store: Store,
    publisher: Arc<dyn Publisher>,
    gateway: GatewayId,
    /// Signals that wait for one before them, or for the device to be told of the call.
    waiting: Holds<(ChatSocket, CallId)>,
    presence: Presence,
    checks: Checks,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

impl Calls {
    /// Makes it for the gateway that is `replica` in this life.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        store: Store,
        publisher: Arc<dyn Publisher>,
        replica: u64,
    ) -> Self {
        Self {
            registry,
            store,
            publisher,
            gateway: GatewayId(replica),
            waiting: Holds::new(MAX_WAITING),
            presence: Presence::new(),
            checks: Checks::new(),
        }
    }

    /// Returns the device that a socket of this gateway is.
    #[must_use]
    pub fn device(&self, socket: &ChatSocket) -> DeviceId {
        DeviceId {
            gateway: self.gateway,
            socket: socket.number(),
        }
    }

    /// Numbers something that a socket asks for; also returns how long the socket has been here.
    #[must_use]
    pub fn ask(&self, socket: &ChatSocket) -> (u64, Duration) {
        let mut device = socket.session().device().lock();
        (device.ask(), device.age(self.presence.now_ms()))
    }

    /// Tells a user's devices here something that a store published.
    ///
    /// # Errors
    ///
    /// Returns [`WireError`] for what means nothing.
    pub fn notice(&self, user: &UserKey, notice: v1::CallNotice) -> Result<(), WireError> {
        let (notice, call) = <(Notice, Summary)>::try_from(notice)?;
        let (to, is_for): (_, Box<dyn Fn(DeviceId) -> bool>) = match &notice.to {
            Recipient::AllDevices(to) => (to, Box::new(|_| true)),
            Recipient::Device(to, only) => (to, Box::new(|device| device == *only)),
            Recipient::OtherDevices(to, but) => (to, Box::new(|device| device != *but)),
        };
        if *to != user.user {
            return Err(WireError::Field("notice.user_id"));
        }
        let frames = frames(&call, &user.user, notice.tell)?;
        let is_missed = counts_as_missed(&call, &user.user);
        for socket in self.registry.sockets(user).iter() {
            let is_told = is_for(self.device(socket)) && self.tell(socket, &notice, &frames);
            if is_told && is_missed {
                self.presence.told(socket, call.id);
            }
        }
        Ok(())
    }

    /// Notes that a socket was answered that it is in a call.
    pub fn joined(&self, socket: &ChatSocket, call: CallId) {
        let mut device = socket.session().device().lock();
        device.fence().join(call);
        self.plan_check(socket, &mut device);
    }

    /// Notes that a socket ended a call.
    pub fn left(socket: &ChatSocket, call: CallId) {
        socket.session().device().lock().fence().leave(call);
    }

    /// Tells one device, unless it heard that or something later. Returns whether it is told now.
    fn tell(&self, socket: &ChatSocket, notice: &Notice, frames: &[Frame]) -> bool {
        // Held while sending: what comes at the same time is behind.
        let mut device = socket.session().device().lock();
        let told = device
            .fence()
            .tell(notice.call, notice.version, notice.tell);
        let Some(signals) = told else {
            return false;
        };
        let is_told = send(socket, frames);
        send(socket, &signals);
        self.plan_check(socket, &mut device);
        is_told
    }

    /// Passes on what the other device signals to one of a user's devices.
    ///
    /// # Errors
    ///
    /// Returns [`WireError`] for what means nothing.
    pub fn signals(&self, user: &UserKey, signals: v1::CallSignals) -> Result<(), WireError> {
        let handed = Handed::try_from(signals)?;
        let (to, device) = &handed.to;
        if *to != user.user {
            return Err(WireError::Field("signals.user_id"));
        }
        let sockets = self.registry.sockets(user);
        let Some(socket) = sockets.iter().find(|socket| self.device(socket) == *device) else {
            return Ok(());
        };
        let frame = |signal| consult::signal(handed.call, &handed.from, signal);
        let frames: Option<Vec<Frame>> = handed
            .signals
            .iter()
            .map(|signal| Some(wire::frame(Dialect::Consult, &frame(signal)?)))
            .collect();
        let frames = frames.ok_or(WireError::Field("signals.payload"))?;

        let mut device = socket.session().device().lock();
        let passed = device.fence().signals(handed.call, handed.first, frames);
        send(socket, &passed.frames);
        self.plan_check(socket, &mut device);
        if passed.waits {
            self.waiting.push((socket.clone(), handed.call));
        }
        metrics::counter!(Metric::SignalsDropped.name()).increment(passed.n_dropped as u64);
        Ok(())
    }

    /// Publishes a signal that may pass for the device it may pass to.
    pub fn relay(&self, app: &AppId, relayed: &Handed) {
        let (to, _device) = &relayed.to;
        self.publish(app, to, v1::envelope::Body::CallSignals(relayed.into()));
    }

    /// Publishes something for a user's sockets.
    fn publish(&self, app: &AppId, to: &UserId, body: v1::envelope::Body) {
        let envelope = v1::Envelope {
            version: 1,
            app: app.as_str().to_owned(),
            targets: vec![to.as_str().to_owned()],
            traceparent: TraceParent::current().to_string(),
            body: Some(body),
            ..v1::Envelope::default()
        };
        self.publisher
            .publish(subject::user(app, to), envelope.encode_to_vec().into());
    }

    /// Lets signals pass that wait for something that does not come. Runs until dropped.
    async fn release(&self) {
        loop {
            for (socket, call) in self.waiting.over().await {
                let mut device = socket.session().device().lock();
                send(&socket, &device.fence().release(call));
                self.plan_check(&socket, &mut device);
            }
        }
    }
}

/// Queues frames; returns whether there was room for all.
fn send(socket: &ChatSocket, frames: &[Frame]) -> bool {
    let send = |frame| wire::send(socket, frame, Class::Message) == Sent::Queued;
    frames.iter().all(send)
}

fn frames(call: &Summary, to: &UserId, tell: Tell) -> Result<Vec<Frame>, WireError> {
    let facts = CallFacts::of(call, to).ok_or(WireError::Field("notice.user_id"))?;
    let events = facts.events(tell);
    let frame = |event| wire::frame(Dialect::Consult, event);
    Ok(events.iter().map(frame).collect())
}

/// Tells whether a user has missed a call, unless told now.
fn counts_as_missed(call: &Summary, user: &UserId) -> bool {
    call.callee == *user && matches!(call.outcome, Some(Outcome::NoAnswer | Outcome::Cancelled))
}
