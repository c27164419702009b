//! One device: connects, comes back as the stock client does, and acts by its habits.
//!
//! It keeps what the stock client keeps (`pid`, the last offset) and sends it on CONNECT; where the
//! server does not say that everything was recovered, it catches up with `sync`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Phase, Shared, Stage,
    calling::{Answering, Calls, Step},
    place::Place,
    sending::Sends,
};
use crate::{
    history::{Asking, Event, Marking, Socket as Link},
    people::Person,
    rng::Rng,
    socket::{Socket, Transport},
};

/// Part of everything that devices signal to each other.
pub const SDP: &str = "sdp-that-nobody-may-log";
/// What a device notes that does not come back like others.
pub const APART: &str = "apart";
/// The stock client's delays between two attempts.
pub(super) const DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// How long an answer is waited for on a living connection, before a message is sent again.
pub(super) const ANSWER: Duration = Duration::from_secs(20);
/// Most messages of others that a device remembers to have not read.
pub(super) const MAX_UNREAD: usize = 40;

/// What a device is like.
#[derive(Debug, Clone)]
pub struct Habits {
    /// How it connects.
    pub transport: Transport,
    /// Milliseconds between two things that it does by itself; 0 when it does nothing.
    pub pause_ms: u64,
    /// Whether it stops reading now and then.
    pub is_slow: bool,
    /// Of its actions, how many in percent are calls.
    pub calls: u64,
    /// What it does when it is called.
    pub answering: Answering,
    /// How long it stays away when it lost its connection, in place of the stock client's delay.
    pub stays_away: Option<Duration>,
}

/// What a device is told to do.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Call the other one of its first conversation.
    Call,
    /// Close the connection, so often, and come back at once.
    Flap(u32),
    /// Read nothing for so long.
    Stall(Duration),
    /// Connect to this gateway, and afterwards to the load balancer again.
    MoveTo(usize),
    /// Hang up whatever call there is with the other ones.
    HangUp,
}

/// What an answer that is waited for is to.
#[derive(Debug)]
pub(super) enum Asked {
    Send(u64, Instant),
    Join(u64, String),
    Leave(u64, String),
    Read(u64, String, Vec<String>),
    Sync(u64, String, u64),
    Call(u64, &'static str, String, String),
}

/// Something to do later.
#[derive(Debug)]
pub(super) enum Todo {
    Act,
    Look,
    Send(u64),
    Join(String),
    Sync(String),
    Call(Step, String, String),
    Listen,
}

/// Why a session ended.
enum End {
    /// The connection is gone.
    Lost(String),
    /// It closed it, and comes back at once.
    Flapped,
    /// The run is over.
    Over,
}

/// One device of a person.
#[derive(Debug)]
pub struct Device {
    pub(super) name: String,
    pub(super) person: Arc<Person>,
    pub(super) habits: Habits,
    pub(super) stage: Arc<Stage>,
    pub(super) rng: Rng,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) status: Shared,

    pub(super) session: u64,
    pub(super) stream: u64,
    pub(super) pid: Option<String>,
    pub(super) offset: Option<String>,
    pub(super) slices: BTreeMap<String, u64>,
    pub(super) places: BTreeMap<String, Place>,
    pub(super) left: BTreeSet<String>,
    pub(super) unread: Vec<(String, String)>,
    pub(super) sends: Sends,
    pub(super) calls: Calls,
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) acks: u64,
    pub(super) todo: Vec<(Instant, Todo)>,
    pub(super) stalled_until: Option<Instant>,
    pub(super) flaps: u32,
    pub(super) at: Option<usize>,
    pub(super) next_at: Option<usize>,
    pub(super) out: Vec<String>,
}

impl Device {
    /// Makes device `number` of `person`; orders come over the channel that is returned, too.
    #[must_use]
    pub fn new(
        person: &Arc<Person>,
        number: usize,
        habits: Habits,
        stage: &Arc<Stage>,
        rng: &Rng,
    ) -> (Self, mpsc::Sender<Order>) {
        let name = format!("{}.d{number}", person.name);
        let (sender, orders) = mpsc::channel(8);
        let device = Self {
            rng: rng.fork(&name),
            name,
            person: Arc::clone(person),
            habits,
            stage: Arc::clone(stage),
            orders,
            status: Shared::default(),
            session: 0,
            stream: 0,
            pid: None,
            offset: None,
            slices: BTreeMap::new(),
            places: BTreeMap::new(),
            left: BTreeSet::new(),
            unread: Vec::new(),
            sends: Sends::default(),
            calls: Calls::default(),
            asked: BTreeMap::new(),
            acks: 0,
            todo: Vec::new(),
            stalled_until: None,
            flaps: 0,
            at: None,
            next_at: None,
            out: Vec::new(),
        };
        (device, sender)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns where it shows how it is doing.
    #[must_use]
    pub fn status(&self) -> Shared {
        Arc::clone(&self.status)
    }

    /// Takes part until the run is over.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            match self.connect().await {
                Ok(mut socket) => {
                    failures = 0;
                    let end = self.session(&mut socket).await;
                    if !matches!(end, End::Lost(_)) {
                        socket.close().await;
                    }
                    self.disconnected(&end);
                    match end {
                        End::Over => break,
                        End::Flapped => continue,
                        End::Lost(_) => {}
                    }
                }
                Err(error) => {
                    failures += 1;
                    let args = self.link(false, format!("{error:#}"));
                    let event = Event::NotConnected { args };
                    self.stage.recorder.note(&self.name, event);
                }
            }
            let delay = self.delay(failures);
            let mut phase = self.stage.phase.clone();
            tokio::select! {
                () = sleep(delay) => {}
                _ = phase.wait_for(|phase| *phase == Phase::Over) => break,
            }
        }
        self.sends.give_up(&self.stage.recorder, &self.name);
    }

    pub(super) fn delay(&mut self, failures: u32) -> Duration {
        if let (Some(away), 0) = (self.habits.stays_away, failures) {
            return away;
        }
        let delay = DELAY.saturating_mul(1 << failures.min(4)).min(MAX_DELAY);
        let half = u64::try_from(delay.as_millis() / 2).unwrap_or(0);
        delay / 2 + self.rng.millis(0, 2 * half)
    }

    pub(super) fn url(&mut self) -> String {
        self.at = self.next_at.take();
        if let Some(gateway) = self.at.and_then(|i| self.stage.endpoints.gateways.get(i)) {
            return gateway.url.clone();
        }
        self.stage.endpoints.public.clone()
    }

    pub(super) fn link(&self, recovered: bool, note: String) -> Link {
        Link {
            session: self.session,
            stream: self.stream,
            recovered,
            note,
        }
    }

    async fn connect(&mut self) -> anyhow::Result<Socket> {
        let t_invoke = self.stage.recorder.now();
        let token = &self.person.user.token;
        // As the stock client: an offset that it does not have yet is not there.
        let auth = match (&self.pid, &self.offset) {
            (Some(pid), Some(offset)) => json!({"pid": pid, "offset": offset, "token": token}),
            (Some(pid), None) => json!({"pid": pid, "token": token}),
            (None, _) => json!({"token": token}),
        };
        let url = self.url();
        let auth = auth.to_string();
        let (socket, answer) = Socket::open(&url, self.habits.transport, &auth).await?;
        let pid = answer["pid"].as_str().map(str::to_owned);
        let recovered = pid.is_some() && pid == self.pid;
        self.session += 1;
        if !recovered {
            self.stream += 1;
            self.slices.clear();
            self.left.clear();
        }
        self.pid = pid;
        let note = match self.habits.stays_away {
            Some(_) => APART.to_owned(),
            None => url,
        };
        let args = self.link(recovered, note);
        let event = Event::Connected { args };
        self.stage.recorder.done(t_invoke, &self.name, event);
        self.connected(recovered);
        Ok(socket)
    }

    pub(super) fn connected(&mut self, recovered: bool) {
        for talk in self.person.talks.clone() {
            if !recovered {
                self.sync(&talk.id);
                if self.rng.chance(50) {
                    self.join(&talk.id);
                }
            }
        }
        for number in self.sends.idle() {
            self.send(number);
        }
        let now = Instant::now();
        self.todo
            .retain(|(_, todo)| !matches!(todo, Todo::Act | Todo::Look | Todo::Listen));
        let act = now + self.pause();
        self.todo.push((act, Todo::Act));
        self.todo.push((now + ANSWER, Todo::Look));
        if recovered {
            let left: Vec<_> = self.left.iter().cloned().collect();
            self.todo
                .extend(left.into_iter().map(|id| (now + DELAY, Todo::Join(id))));
        }
        self.show(true);
    }

    fn disconnected(&mut self, end: &End) {
        let note = match end {
            End::Lost(why) => why.clone(),
            End::Flapped => "flapped".to_owned(),
            End::Over => "over".to_owned(),
        };
        let event = Event::Disconnected {
            args: self.link(false, note),
        };
        self.stage.recorder.note(&self.name, event);
        for asked in std::mem::take(&mut self.asked).into_values() {
            self.unanswered(asked);
        }
        self.sends.disconnected();
        self.out.clear();
        self.show(false);
    }

    /// Writes down what was asked and not answered over the connection that is gone.
    pub(super) fn unanswered(&mut self, asked: Asked) {
        let (t_invoke, event) = match asked {
            Asked::Join(t, key) => (
                t,
                Event::Joined {
                    key,
                    args: self.link(false, String::new()),
                },
            ),
            Asked::Leave(t, key) => {
                // It may have left, so what it missed since is no surprise.
                *self.slices.entry(key.clone()).or_default() += 1;
                self.left.insert(key.clone());
                (
                    t,
                    Event::Left {
                        key,
                        args: self.link(false, String::new()),
                    },
                )
            }
            Asked::Read(t, key, ids) => {
                let args = Marking {
                    user: self.person.user.id.clone(),
                    ids,
                };
                (
                    t,
                    Event::Read {
                        key,
                        args,
                        result: None,
                    },
                )
            }
            Asked::Call(t, action, peer, call) => {
                if action == "end" {
                    let at = Instant::now() + DELAY;
                    self.todo
                        .push((at, Todo::Call(Step::End, peer.clone(), call.clone())));
                }
                let args = self.asking(action, peer);
                (
                    t,
                    Event::Asked {
                        key: Some(call).filter(|id| !id.is_empty()),
                        args,
                        result: None,
                    },
                )
            }
            Asked::Sync(_, key, _) => {
                // A session that is recovered goes on behind it.
                self.todo.push((Instant::now() + DELAY, Todo::Sync(key)));
                return;
            }
            Asked::Send(..) => return,
        };
        self.stage.recorder.open(t_invoke, &self.name, event);
    }

    async fn session(&mut self, socket: &mut Socket) -> End {
        let mut phase = self.stage.phase.clone();
        if *phase.borrow_and_update() == Phase::Settling {
            self.settle();
        }
        loop {
            for packet in std::mem::take(&mut self.out) {
                if let Err(error) = socket.send(&packet).await {
                    return End::Lost(error.to_string());
                }
            }
            if 0 < self.flaps {
                self.flaps -= 1;
                return End::Flapped;
            }
            let next = self.todo.iter().map(|(at, _)| *at).min();
            let next = next.unwrap_or_else(|| Instant::now() + ANSWER);
            let is_reading = self.stalled_until.is_none();
            tokio::select! {
                packet = socket.next(), if is_reading => match packet {
                    Ok(packet) => {
                        if let Err(why) = self.packet(&packet) {
                            return End::Lost(why);
                        }
                    }
                    Err(error) => return End::Lost(error.to_string()),
                },
                () = sleep_until(next) => self.due(),
                Some(order) = self.orders.recv() => self.order(order),
                Ok(()) = phase.changed() => match *phase.borrow_and_update() {
                    Phase::Busy => {}
                    Phase::Settling => self.settle(),
                    Phase::Over => {
                        let event = Event::Listening { args: self.link(false, String::new()) };
                        self.stage.recorder.note(&self.name, event);
                        return End::Over;
                    }
                },
            }
            self.show(true);
        }
    }

    pub(super) fn show(&self, is_connected: bool) {
        let known = self
            .places
            .iter()
            .map(|(id, place)| (id.clone(), place.whole_until()));
        let mut status = self.status.lock();
        status.is_connected = is_connected;
        status.at = self.at;
        status.unfinished = self.sends.len() + self.calls.unfinished();
        status.left = self.left.len();
        status.known = known.collect();
    }

    pub(super) fn pause(&mut self) -> Duration {
        self.rng
            .millis(self.habits.pause_ms / 4, 2 * self.habits.pause_ms)
    }

    pub(super) fn asking(&self, action: &str, peer: String) -> Asking {
        Asking {
            user: self.person.user.id.clone(),
            session: self.session,
            action: action.to_owned(),
            peer,
        }
    }
}
