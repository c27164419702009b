//! What to measure: the file that `cargo xtask up --endpoints` writes.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

/// A running system.
#[derive(Debug, Clone, Deserialize)]
pub struct Endpoints {
    /// Where clients go: the load balancer.
    pub public: String,
    /// Every gateway.
    pub gateways: Vec<Gateway>,
    /// Every store.
    pub stores: Vec<Store>,
    /// The database.
    pub postgres: Server,
    /// The broker.
    pub nats: Server,
    /// Its other servers, where it is several.
    #[serde(default)]
    pub nats_peers: Vec<Server>,
    /// The shared state of calls.
    pub redis: Server,
    /// The load balancer's process.
    pub haproxy: Process,
    /// What the stores' internal port asks for.
    pub service_token: String,
    /// The apps by name.
    pub apps: BTreeMap<String, App>,
}

/// One gateway.
#[derive(Debug, Clone, Deserialize)]
pub struct Gateway {
    /// Where clients connect.
    pub url: String,
    /// Health and metrics.
    pub admin_url: String,
    /// Its process.
    pub pid: u32,
}

/// One store.
#[derive(Debug, Clone, Deserialize)]
pub struct Store {
    /// What other services tell it.
    pub internal_url: String,
    /// Health and metrics.
    pub admin_url: String,
    /// Its process.
    pub pid: u32,
}

/// A server that the system stands on.
#[derive(Debug, Clone, Deserialize)]
pub struct Server {
    /// How services reach it.
    pub url: String,
    /// Where it tells about itself, if it does.
    pub monitor_url: Option<String>,
    /// Its process.
    pub pid: u32,
}

/// A process of the system that nobody calls by address.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Process {
    /// Its process.
    pub pid: u32,
}

/// One app's token key.
#[derive(Debug, Clone, Deserialize)]
pub struct App {
    /// What signs its tokens.
    pub secret: String,
}

impl Endpoints {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Returns that it can't be read or understood.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read {}; write it with `cargo xtask up --endpoints FILE`",
                path.display()
            )
        })?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is no endpoints file", path.display()))
    }

    /// Returns the key that signs tokens of `app`.
    ///
    /// # Errors
    ///
    /// Returns that there is no such app.
    pub fn secret(&self, app: &str) -> anyhow::Result<&str> {
        let app = self
            .apps
            .get(app)
            .with_context(|| format!("app {app:?} is not configured"))?;
        Ok(&app.secret)
    }
}
