//! What to measure: the file that `cargo xtask up --endpoints` writes.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

/// A running system.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) public: String,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) stores: Vec<Store>,
    pub(crate) postgres: Server,
    pub(crate) redis: Server,
    pub(crate) service_token: String,
    pub(crate) apps: BTreeMap<String, App>,
}

/// One gateway.
#[derive(Debug, Deserialize)]
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) pid: u32,
}

/// One store.
#[derive(Debug, Deserialize)]
pub(crate) struct Store {
    pub(crate) internal_url: String,
    pub(crate) pid: u32,
}

/// A server that the system stands on.
#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) url: String,
}

/// One app's token key.
#[derive(Debug, Deserialize)]
pub(crate) struct App {
    pub(crate) secret: String,
}

impl Endpoints {
    /// Reads the file.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
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
    pub(crate) fn secret(&self, app: &str) -> anyhow::Result<&str> {
        let app = self
            .apps
            .get(app)
            .with_context(|| format!("app {app:?} is not configured"))?;
        Ok(&app.secret)
    }
}
