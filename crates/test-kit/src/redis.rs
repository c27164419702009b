//! Redis: the server of the test run, and keys of a test's own on it.

use anyhow::Context as _;
use redis::{Client, Commands as _, Connection};
use uuid::Uuid;

/// A name that keys of one test hold and no others; they go with this value.
#[derive(Debug)]
pub struct Namespace {
    url: String,
    name: String,
}

impl Namespace {
    /// Invents a name.
    ///
    /// # Errors
    ///
    /// Returns that `REDIS_URL` is missing.
    pub fn new() -> anyhow::Result<Self> {
        Self::named(&format!("test-{}", Uuid::new_v4().simple()))
    }

    /// Takes the name that another process invented.
    ///
    /// # Errors
    ///
    /// Returns that `REDIS_URL` is missing.
    pub fn named(name: &str) -> anyhow::Result<Self> {
        let url = std::env::var("REDIS_URL")
            .context("REDIS_URL is not set; `cargo xtask test` sets it")?;
        Ok(Self {
            url,
            name: name.to_owned(),
        })
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects, to look and to meddle. Blocks.
    ///
    /// # Errors
    ///
    /// Returns why the server could not be reached.
    pub fn connection(&self) -> anyhow::Result<Connection> {
        Ok(Client::open(self.url())?.get_connection()?)
    }

    /// Removes every key, as `FLUSHALL` does for a deployment. Blocks.
    ///
    /// # Errors
    ///
    /// Returns why the server could not be reached.
    pub fn clear(&self) -> anyhow::Result<()> {
        let mut connection = self.connection()?;
        let keys: Vec<String> = connection
            .scan_match(format!("*{}*", self.name))?
            .collect::<Result<_, _>>()?;
        if !keys.is_empty() {
            // One command, so that nobody sees a half.
            let _removed: usize = connection.del(keys)?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What is left on a server that is gone by now does not matter.
        let _ = self.clear();
    }
}
