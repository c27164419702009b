//! The people: devices that chat and call over sockets, and REST clients beside them.
//!
//! Everybody acts on their own, by choices that the seed repeats; what the system answers and when
//! is its own affair, so two runs of a seed are alike and not the same. Nothing is judged here.

mod acting;
mod calling;
mod device;
mod hearing;
mod place;
mod rest;
mod sending;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use load_kit::Endpoints;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

pub use calling::Answering;
pub use device::{APART, Device, Habits, Order, SDP};
pub use rest::{read_page, read_unread, reader, request};

use crate::recorder::Recorder;

/// What everybody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Chat and call.
    Busy,
    /// Finish what was begun, and listen.
    Settling,
    /// Go home.
    Over,
}

/// What everybody shares.
#[derive(Debug)]
pub struct Stage {
    /// What runs where. Process ids are those of the beginning.
    pub endpoints: Endpoints,
    /// For REST.
    pub http: reqwest::Client,
    /// Where everything is written down.
    pub recorder: Recorder,
    /// What everybody does.
    pub phase: watch::Receiver<Phase>,
    /// What records call people, by id.
    pub names: BTreeMap<String, String>,
}

/// How a device is doing.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Whether it is connected.
    pub is_connected: bool,
    /// The gateway that it was told to connect to.
    pub at: Option<usize>,
    /// Messages that were not confirmed, and calls that it wants to end.
    pub unfinished: usize,
    /// Up to where it knows each conversation without a hole.
    pub known: Vec<(String, u64)>,
    /// Rooms that it has left.
    pub left: usize,
}

impl Status {
    /// Tells whether it is connected to that gateway, as it was told.
    #[must_use]
    pub fn is_at(&self, gateway: usize) -> bool {
        self.is_connected && self.at == Some(gateway)
    }
}

/// A device's status, for others to see.
pub type Shared = Arc<Mutex<Status>>;

/// Everybody who takes part.
#[derive(Debug, Default)]
pub struct Crowd {
    tasks: JoinSet<()>,
    readers: JoinSet<()>,
    /// How each device is doing.
    pub devices: Vec<(String, Shared)>,
    /// Where they take orders.
    pub orders: Vec<mpsc::Sender<Order>>,
}

impl Crowd {
    /// Lets a device take part.
    pub fn add_device(&mut self, device: Device, orders: mpsc::Sender<Order>) {
        self.orders.push(orders);
        self.devices
            .push((device.name().to_owned(), device.status()));
        self.tasks.spawn(device.run());
    }

    /// Lets a REST client take part.
    pub fn add_reader(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.readers.spawn(task);
    }

    /// Waits until all REST clients have finished, but not for ever.
    pub async fn readers_done(&mut self, patience: Duration) {
        let all = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(patience, all).await;
    }

    /// Waits until everybody has gone home, but not for ever.
    pub async fn gone(&mut self, patience: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            self.tasks.shutdown().await;
            self.readers.shutdown().await;
        }
    }

    /// Waits until `is_done` holds for every device's status; says whether that came true in time.
    pub async fn all(&self, patience: Duration, is_done: impl Fn(&Status) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while !self
            .devices
            .iter()
            .all(|(_, status)| is_done(&status.lock()))
        {
            if deadline < Instant::now() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }
}
