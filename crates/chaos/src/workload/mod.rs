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

use std::{collections::BTreeMap, sync::Arc};

use load_kit::Endpoints;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

pub use calling::Answering;
pub use device::{APART, Device, Habits, Order, SDP};
pub use rest::{read_page, read_unread, reader, request};

use crate::{patience::until_none, recorder::Recorder};

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

    /// Returns how many REST clients have not finished, and how much that devices began or left.
    pub fn unfinished(&mut self) -> u64 {
        while self.readers.try_join_next().is_some() {}
        let of_device = |status: &Status| {
            u64::from(!status.is_connected) + status.unfinished as u64 + status.left as u64
        };
        self.readers.len() as u64 + self.sum(of_device)
    }

    /// Returns how many messages up to the `heads` of all conversations devices do not know.
    #[must_use]
    pub fn unknown(&self, heads: &[(String, u64)]) -> u64 {
        self.sum(|status| {
            let missing = |(id, place): &(String, u64)| {
                let head = heads.iter().find(|(head, _)| head == id);
                head.map_or(0, |(_, last)| last.saturating_sub(*place))
            };
            status.known.iter().map(missing).sum()
        })
    }

    fn sum(&self, of_device: impl Fn(&Status) -> u64) -> u64 {
        let devices = self.devices.iter();
        devices.map(|(_, status)| of_device(&status.lock())).sum()
    }

    /// Waits until everybody has gone home; ends who does not.
    ///
    /// # Errors
    ///
    /// Returns that too many are still leaving.
    pub async fn gone(&mut self) -> anyhow::Result<()> {
        let tasks = &mut self.tasks;
        let left = async || {
            while tasks.try_join_next().is_some() {}
            Ok(tasks.len() as u64)
        };
        if !until_none("everybody to go home", left).await? {
            self.tasks.shutdown().await;
            self.readers.shutdown().await;
        }
        Ok(())
    }
}
