//! Which devices are here: announced when they come, when they go, and as a whole while this
//! gateway lives.
//!
//! A device that comes is told what it missed. A client that lost its connection has a new one
//! before anybody knows that the old one is dead, and only then may it take the old one's place: so a
//! device is announced again when another of its user turns out to be gone, and once when a gateway
//! that held one must have been given up. All are when the stores may have taken this gateway for
//! dead, when they do not know its devices any more, or when events were lost.

use std::time::Duration;

use chat_domain::{
    ChatError, ErrorKind,
    call::{CallId, DeviceId, Notice, Outcome, Recipient, Summary, Tell},
};
use chat_proto::v1;
use tokio::{sync::Notify, time::Instant};

use super::{Calls, Farewell, frames, lane::Lane};
use crate::{
    delivery::DelayLine, metrics::Metric, registry::UserKey, session::ChatSocket, store::Arrival,
};

/// How often this gateway says that it lives.
const BEAT: Duration = Duration::from_secs(3);
/// How soon it says so again when nobody answered.
const BEAT_AGAIN: Duration = Duration::from_secs(1);
/// After how long without that it is taken for dead.
const LEASE: Duration = Duration::from_secs(9);
/// When a device is announced again: a dead gateway is found out by then, and whoever was there has
/// not been given up.
const SECOND_LOOK: Duration = Duration::from_secs(10);
/// How many devices may wait for that.
const MAX_LATER: usize = 100_000;
/// How many of them are looked at at once.
const BATCH: usize = 256;
/// How long a device has to stay after it was told how a call ended, to count as told: one that
/// closed its connection just before has not heard it.
const HEARD: Duration = Duration::from_secs(3);

/// What is to be announced.
#[derive(Debug)]
pub(super) struct Presence {
    looks: Lane<Look>,
    departures: Lane<Departure>,
    told: DelayLine<(ChatSocket, CallId)>,
    heard: Lane<(UserKey, CallId)>,
    later: DelayLine<Later>,
    started: Instant,
    /// Anything may have been missed.
    missed: Notify,
}

/// A device that is here.
#[derive(Debug, Clone)]
struct Look {
    socket: ChatSocket,
    replaces: Option<DeviceId>,
}

/// A device that is gone.
#[derive(Debug, Clone)]
struct Departure {
    user: UserKey,
    device: DeviceId,
    left: Instant,
    farewell: Farewell,
}

#[derive(Debug)]
enum Later {
    Look(ChatSocket),
    Depart(Departure),
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            looks: Lane::new(),
            departures: Lane::new(),
            told: DelayLine::new(HEARD, MAX_LATER),
            heard: Lane::new(),
            later: DelayLine::new(SECOND_LOOK, MAX_LATER),
            started: Instant::now(),
            missed: Notify::const_new(),
        }
    }

    /// Notes that a device was told how a call ended. Its user is told again at the next connect
    /// unless the device stays.
    pub(super) fn told(&self, socket: &ChatSocket, call: CallId) {
        if !self.told.push((socket.clone(), call)) {
            metrics::counter!(Metric::CallWorkDropped.name()).increment(1);
        }
    }

    /// Returns the time in the milliseconds of [`Device::come`](super::Device::come).
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn later(&self, later: Later) {
        if !self.later.push(later) {
            metrics::counter!(Metric::CallWorkDropped.name()).increment(1);
        }
    }
}

impl Calls {
    /// Announces a socket that is in, and has it told what it missed.
    pub fn arrive(&self, socket: &ChatSocket) {
        let now_ms = self.presence.now_ms();
        socket.session().device().lock().come(now_ms);
        self.presence.looks.push(Look {
            socket: socket.clone(),
            replaces: None,
        });
        self.presence.later(Later::Look(socket.clone()));
    }

    /// Waits until the stores know of all who are gone.
    pub async fn settled(&self) {
        self.presence.departures.settled().await;
    }

    /// Announces that a socket is gone. Everything it asked for was done before.
    pub fn depart(&self, socket: &ChatSocket) {
        let farewell = socket.session().device().lock().leave();
        self.part(socket, farewell);
    }

    /// Hears that a device of a user is gone: a new one may be what became of it.
    pub fn device_gone(&self, user: &UserKey) {
        let now_ms = self.presence.now_ms();
        for socket in self.registry.sockets(user).iter() {
            if socket.session().device().lock().is_new(now_ms) {
                self.presence.looks.push(Look {
                    socket: socket.clone(),
                    replaces: None,
                });
            }
        }
    }

    /// Hears that events may have been lost.
    pub fn resumed(&self) {
        self.presence.missed.notify_one();
    }

    /// Does all that goes on beside clients' events. Runs until dropped.
    pub async fn run(&self) {
        let Presence {
            looks,
            departures,
            heard,
            ..
        } = &self.presence;
        tokio::join!(
            looks.run(|look| self.look(look)),
            departures.run(|departure| self.announce_departure(departure)),
            heard.run(|(user, call)| async move { self.store.call_told(&user, call).await }),
            self.hear_out(),
            self.look_later(),
            self.beat(),
            self.refresh(),
            self.release(),
            self.check(),
        );
    }

    async fn look(&self, look: Look) -> Result<(), ChatError> {
        let Look { socket, replaces } = look;
        let session = socket.session();
        let (again, age) = {
            let mut device = session.device().lock();
            if !device.begin_look() {
                return Ok(());
            }
            (device.is_known(), device.age(self.presence.now_ms()))
        };
        let (user, device) = (session.key(), self.device(&socket));
        let announced = self
            .store
            .device_back(&user, device, replaces, (age, again));
        let outcome = announced.await;
        if let Ok(arrival) = &outcome {
            self.hear(&socket, arrival);
        }
        let farewell = {
            let mut device = session.device().lock();
            match &outcome {
                Ok(_) => device.make_known(),
                Err(error) if error.kind() == ErrorKind::Unavailable => device.doubt(),
                Err(_) => {}
            }
            device.end_look()
        };
        self.part(&socket, farewell);
        outcome.map(drop)
    }

    /// Tells a device what it missed.
    fn hear(&self, socket: &ChatSocket, arrival: &Arrival) {
        let user = &socket.session().user().id;
        let missed = arrival.missed.iter().map(|call| {
            let is_cancelled = call.outcome == Some(Outcome::Cancelled);
            let rang = socket.session().device().lock().fence().rang(call.id);
            let notice = Notice {
                call: call.id,
                version: call.version,
                to: Recipient::Device(user.clone(), self.device(socket)),
                // As the device hears that was there when it happened.
                tell: if rang && is_cancelled {
                    Tell::Ended
                } else {
                    Tell::Missed
                },
            };
            (notice, call)
        });
        let missed: Vec<(Notice, &Summary)> = missed.collect();
        let notices = arrival.notices.iter().map(|(notice, call)| (notice, call));
        let missed = missed.iter().map(|(notice, call)| (notice, *call));
        for (notice, call) in missed.chain(notices) {
            match frames(call, user, notice.tell) {
                Ok(frames) => {
                    self.tell(socket, notice, &frames);
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "notice dropped");
                }
            }
        }
        if let Some(heard) = &arrival.goes_on {
            let mut device = socket.session().device().lock();
            device.fence().take_over(heard);
            self.plan_check(socket, &mut device);
        }
    }

    fn part(&self, socket: &ChatSocket, farewell: Option<Farewell>) {
        if let Some(farewell) = farewell {
            self.presence.departures.push(Departure {
                user: socket.session().key(),
                device: self.device(socket),
                left: Instant::now(),
                farewell,
            });
        }
    }

    async fn announce_departure(&self, departure: Departure) -> Result<(), ChatError> {
        let Departure {
            user, device, left, ..
        } = &departure;
        let gone = self.store.device_gone(user, *device, left.elapsed());
        gone.await?;
        self.publish(
            &user.app,
            &user.user,
            v1::envelope::Body::DeviceGone(v1::DeviceGone {}),
        );
        if departure.farewell == Farewell::Twice {
            self.presence.later(Later::Depart(Departure {
                farewell: Farewell::Once,
                ..departure
            }));
        }
        Ok(())
    }

    /// Has calls count as told whose end was told to a device that is still there.
    async fn hear_out(&self) {
        loop {
            for (socket, call) in self.presence.told.due(BATCH).await {
                if socket.is_open() {
                    self.presence.heard.push((socket.session().key(), call));
                }
            }
        }
    }

    async fn look_later(&self) {
        loop {
            for later in self.presence.later.due(BATCH).await {
                match later {
                    Later::Look(socket) => self.presence.looks.push(Look {
                        socket,
                        replaces: None,
                    }),
                    Later::Depart(departure) => self.presence.departures.push(departure),
                }
            }
        }
    }

    async fn beat(&self) {
        let mut last = Instant::now();
        // An answer that was lost may have been to announce all devices.
        let mut is_unsure = false;
        loop {
            match self.store.gateway_alive(self.gateway).await {
                Ok(must_announce) => {
                    if must_announce || is_unsure || LEASE < last.elapsed() {
                        self.resumed();
                    }
                    (last, is_unsure) = (Instant::now(), false);
                    tokio::time::sleep(BEAT).await;
                }
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "no sign of life sent"
                    );
                    is_unsure = true;
                    tokio::time::sleep(BEAT_AGAIN).await;
                }
            }
        }
    }

    /// Announces every device again whenever something may have been missed.
    async fn refresh(&self) {
        loop {
            self.presence.missed.notified().await;
            for part in 0..self.registry.n_parts() {
                for socket in self.registry.part(part) {
                    let replaces = Some(self.device(&socket));
                    self.presence.looks.push(Look { socket, replaces });
                }
            }
        }
    }
}
