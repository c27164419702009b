//! One run: a store, gateways, a broker between them, clients, and what happens to all.

use std::time::Duration;

use chat_domain::{AppId, Seq, Timestamp, UserId};
use realtime_gateway::session::{Places, RecoveryKey, Room};

use crate::{
    client::{Client, Event},
    dice::Dice,
    gateway::{Gateway, Keys, Socket},
    store::{Store, id},
};

const GATEWAYS: usize = 3;
const CLIENTS: usize = 3;
const STEPS: usize = 200;
/// Steps without trouble in which everything has to come right.
const HEALING: usize = 2_000;

/// An event on its way to a gateway.
#[derive(Debug)]
struct Flying {
    gateway: usize,
    life: u64,
    conversation: usize,
    seq: Seq,
}

pub(crate) struct World {
    dice: Dice,
    is_told: bool,
    keys: Keys,
    store: Store,
    store_is_away: bool,
    gateways: Vec<Gateway>,
    clients: Vec<Client>,
    flying: Vec<Flying>,
    /// Clients that wait for what follows the answer to their CONNECT.
    attaching: Vec<(usize, u64, u64)>,
    last_socket: u64,
    counts: Counts,
}

/// What was tried.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) recovered: u64,
    pub(crate) refilled: u64,
}

impl World {
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        let mut store = Store::default();
        store.begin_conversation();
        Self {
            dice: Dice(seed),
            is_told,
            keys: Keys {
                key: RecoveryKey::new(b"simulation", Duration::from_hours(1)),
                app: AppId::new("consult").unwrap(),
                user: UserId::new("ann").unwrap(),
                now: Timestamp(1_800_000_000_000),
            },
            store,
            store_is_away: false,
            gateways: (0..GATEWAYS).map(|_| Gateway::default()).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            flying: Vec::new(),
            attaching: Vec::new(),
            last_socket: 0,
            counts: Counts::default(),
        }
    }

    /// Lets things happen, then lets them come right, and checks that they do.
    pub(crate) fn run(mut self) -> Counts {
        for _ in 0..STEPS {
            self.step();
            self.go_on(false);
        }
        self.tell("healing");
        self.store_is_away = false;
        for gateway in &mut self.gateways {
            gateway.is_cut = false;
        }
        for client in 0..CLIENTS {
            if self.clients[client].connection.is_none() {
                self.connect(client, client % GATEWAYS);
            }
        }
        self.sweep();
        for _ in 0..HEALING {
            if self.is_quiet() {
                self.check();
                self.open_late();
                if self.is_quiet() {
                    break;
                }
            }
            self.go_on(true);
        }
        assert!(self.is_quiet(), "it does not come to rest");
        for client in &self.clients {
            self.assert_has_all(client);
        }
        self.counts
    }

    /// Something happens.
    fn step(&mut self) {
        let (client, gateway) = (self.dice.index(CLIENTS), self.dice.index(GATEWAYS));
        match self.dice.below(100) {
            0..30 => self.write(),
            30..34 if self.store.n_conversations() < 4 => self.store.begin_conversation(),
            34..46 if self.clients[client].connection.is_some() => self.disconnect(client),
            46..70 if self.clients[client].connection.is_none() => self.connect(client, gateway),
            70..72 => self.kill(gateway),
            72..76 => self.cut(gateway),
            76..78 => self.store_is_away = !self.store_is_away,
            78..84 => self.sweep(),
            84..88 => self.check(),
            88..90 => self.open_late(),
            90..94 => self.change_room(client),
            94..100 => (0..12).for_each(|_| self.write()),
            _ => {}
        }
    }

    /// What is under way goes on.
    fn go_on(&mut self, is_healing: bool) {
        for _ in 0..3 {
            if self.flying.is_empty() {
                break;
            }
            let at = self.dice.index(self.flying.len());
            let event = self.flying.swap_remove(at);
            let gateway = &mut self.gateways[event.gateway];
            let is_lost = gateway.is_cut || (!is_healing && self.dice.percent(15));
            if gateway.life == event.life && !is_lost {
                gateway.take(&self.keys, &self.store, event.conversation, event.seq);
            }
            if !is_healing && self.dice.percent(10) {
                self.flying.push(event);
            }
        }
        if !self.attaching.is_empty() && self.dice.percent(60) {
            let (gateway, life, socket) = self.attaching.remove(0);
            let there = &mut self.gateways[gateway];
            if there.life == life && there.sockets.contains_key(&socket) {
                there.attach(socket);
            }
        }
        for gateway in &mut self.gateways {
            let reachable = (!self.store_is_away && !gateway.is_cut).then_some(&self.store);
            if let Some(store) = reachable
                && !gateway.repairs.is_empty()
            {
                let at = self.dice.index(gateway.repairs.len());
                gateway.repair(&self.keys, store, at);
            }
            for socket in gateway.sockets.values_mut() {
                if socket.is_in && self.dice.percent(50) {
                    self.counts.refilled += socket.refill(&self.keys, reachable);
                }
            }
        }
        for client in 0..CLIENTS {
            if self.dice.percent(if is_healing { 90 } else { 35 }) {
                self.read(client);
            }
        }
    }

    /// Tells whether nothing is under way.
    fn is_quiet(&self) -> bool {
        let is_quiet = |gateway: &Gateway| {
            let mut sockets = gateway.sockets.values();
            let is_done = sockets.all(|socket| !socket.is_refilled && socket.outbox.is_empty());
            is_done && gateway.repairs.is_empty()
        };
        self.flying.is_empty() && self.attaching.is_empty() && self.gateways.iter().all(is_quiet)
    }

    fn write(&mut self) {
        let conversation = self.dice.index(self.store.n_conversations());
        let seq = self.store.append(conversation);
        self.tell(&format!("message {seq} of {conversation}"));
        // A store that dies here leaves it to the sweep.
        if self.dice.percent(90) {
            self.publish(conversation, seq);
        }
    }

    fn publish(&mut self, conversation: usize, seq: Seq) {
        for (at, gateway) in self.gateways.iter().enumerate() {
            self.flying.push(Flying {
                gateway: at,
                life: gateway.life,
                conversation,
                seq,
            });
        }
    }

    fn sweep(&mut self) {
        for (conversation, seq) in std::mem::take(&mut self.store.outbox) {
            self.publish(conversation, seq);
        }
    }

    fn check(&mut self) {
        if !self.store_is_away {
            for gateway in self.gateways.iter_mut().filter(|gateway| !gateway.is_cut) {
                gateway.check(&self.store);
            }
        }
    }

    /// Has gateways that could not ask before learn the user's positions.
    fn open_late(&mut self) {
        if self.store_is_away {
            return;
        }
        let opened = self.store.open();
        for gateway in &mut self.gateways {
            if !gateway.is_open && !gateway.is_cut && !gateway.sockets.is_empty() {
                gateway.open(&opened);
            }
        }
    }

    fn connect(&mut self, number: usize, at: usize) {
        self.last_socket += 1;
        let socket = self.last_socket;
        let gateway = &mut self.gateways[at];
        let store = (!self.store_is_away && !gateway.is_cut).then_some(&self.store);
        let client = &mut self.clients[number];
        let owner = (&self.keys.app, &self.keys.user);

        let claim = client.pid.as_deref().map(|pid| {
            let offset = client.offset.as_deref();
            self.keys.key.open(owner, pid, offset, self.keys.now)
        });
        let claim = claim.and_then(Result::ok);
        let resumed = claim.as_ref().zip(store);
        let resumed = resumed.and_then(|(claim, store)| store.resume(&claim.stood()));
        let pid = if let (Some(claim), Some(resumed)) = (claim, resumed) {
            gateway.open(&resumed.opened);
            let places = claim.places(&resumed, Room::Heard);
            let tag = Some(claim.beginning.tag);
            gateway.sockets.insert(socket, Socket::new(places, tag));
            self.counts.recovered += 1;
            client.pid.clone()
        } else {
            let opened = gateway.standing().or_else(|| Some(store?.open()));
            if let Some(opened) = opened {
                gateway.open(&opened);
                gateway.begin(&self.keys, socket, &opened)
            } else {
                let nowhere = Socket::new(Places::default(), None);
                gateway.sockets.insert(socket, nowhere);
                None
            }
        };
        let history = (0..self.store.n_conversations()).map(|n| (n, self.store.last(n)));
        let is_recovered = pid.is_some() && pid == client.pid;
        client.connection = Some((at, gateway.life, socket));
        client.connected(pid, history.collect());
        self.attaching.push((at, gateway.life, socket));
        self.tell(&format!(
            "client {number} comes to {at}, recovered: {is_recovered}"
        ));
    }

    fn disconnect(&mut self, number: usize) {
        self.tell(&format!("client {number} goes"));
        if let Some((gateway, life, socket)) = self.clients[number].connection.take() {
            let gateway = &mut self.gateways[gateway];
            if gateway.life == life {
                gateway.sockets.remove(&socket);
                gateway.leave_if_empty();
            }
        }
    }

    fn kill(&mut self, at: usize) {
        self.tell(&format!("gateway {at} dies"));
        let life = self.gateways[at].life + 1;
        self.gateways[at] = Gateway {
            life,
            ..Gateway::default()
        };
        for client in &mut self.clients {
            client.connection = client.connection.filter(|(gateway, ..)| *gateway != at);
        }
    }

    fn cut(&mut self, at: usize) {
        let gateway = &mut self.gateways[at];
        gateway.is_cut = !gateway.is_cut;
        let is_cut = gateway.is_cut;
        self.tell(&format!("gateway {at} is cut off: {is_cut}"));
        if !is_cut && !self.store_is_away {
            self.gateways[at].check(&self.store);
        }
    }

    /// Lets a client read some of what waits for it.
    fn read(&mut self, number: usize) {
        let Some((gateway, _life, socket)) = self.clients[number].connection else {
            return;
        };
        for _ in 0..=self.dice.below(3) {
            let there = &mut self.gateways[gateway];
            let waiting = there.sockets.get_mut(&socket);
            if let Some(sent) = waiting.and_then(|socket| socket.outbox.pop_front()) {
                self.tell(&format!("client {number} hears {:?}", sent.event));
                self.clients[number].hear(sent);
            }
        }
    }

    fn change_room(&mut self, number: usize) {
        let conversation = self.dice.index(self.store.n_conversations());
        let leaves = self.dice.percent(50);
        let Some((gateway, _life, socket)) = self.clients[number].connection else {
            return;
        };
        self.tell(&format!(
            "client {number} changes room {conversation}, leaves: {leaves}"
        ));
        let there = &mut self.gateways[gateway];
        let socket = there.sockets.get_mut(&socket);
        let Some(socket) = socket.filter(|socket| socket.is_in) else {
            return;
        };
        if leaves {
            socket.places.leave(id(conversation)).unwrap();
            socket.tell(&self.keys, Event::Left(conversation));
        } else {
            socket.places.join(id(conversation)).unwrap();
            socket.tell(&self.keys, Event::Joined(conversation));
        }
    }

    /// A client that can be told everything was told everything.
    fn assert_has_all(&self, client: &Client) {
        if !client.is_promised {
            return;
        }
        for conversation in 0..self.store.n_conversations() {
            let has = client.has.get(&conversation).copied().unwrap_or(Seq(0));
            let last = self.store.last(conversation);
            // After a room was entered again, the history has what came before.
            if !client.has_left(conversation) && has.0 != u64::MAX {
                assert_eq!(has, last, "conversation {conversation}");
            }
        }
    }

    fn tell(&self, what: &str) {
        if self.is_told {
            println!("{what}");
        }
    }
}
